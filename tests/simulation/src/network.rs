//! What reading over the network costs: a flow gets an equal part of the narrowest of the links it crosses, as many
//! flows as cross them when it begins. Rates of flows under way are not revised, so a sudden crowd is charged to those
//! that come last; over many tasks that evens out.

use crate::workload::Shape;

/// A node's link, in bytes a second each way: 10 Gb/s.
const NODE_RATE: f64 = 1.25e9;
/// How much narrower the link of a rack is than those of its nodes together.
const OVERSUBSCRIPTION: f64 = 4.0;

/// Flows over each link.
pub struct Network {
    shape: Shape,
    out_of_node: Vec<u32>,
    into_node: Vec<u32>,
    out_of_rack: Vec<u32>,
    into_rack: Vec<u32>,
}

/// A read under way.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    pub from: u32,
    pub to: u32,
}

impl Network {
    pub fn new(shape: &Shape) -> Self {
        Network {
            shape: shape.clone(),
            out_of_node: vec![0; shape.nodes as usize],
            into_node: vec![0; shape.nodes as usize],
            out_of_rack: vec![0; shape.racks as usize],
            into_rack: vec![0; shape.racks as usize],
        }
    }

    /// The flow begins; bytes a second it gets.
    pub fn begin(&mut self, flow: Flow) -> f64 {
        self.count(flow, 1);
        let part = |rate: f64, flows: u32| rate / f64::from(flows);
        let nodes = part(NODE_RATE, self.out_of_node[flow.from as usize])
            .min(part(NODE_RATE, self.into_node[flow.to as usize]));
        let (from, to) = (self.shape.rack(flow.from), self.shape.rack(flow.to));
        if from == to {
            return nodes;
        }
        let rack_rate = NODE_RATE * f64::from(self.shape.nodes / self.shape.racks) / OVERSUBSCRIPTION;
        nodes.min(part(rack_rate, self.out_of_rack[from as usize])).min(part(rack_rate, self.into_rack[to as usize]))
    }

    pub fn end(&mut self, flow: Flow) {
        self.count(flow, -1);
    }

    fn count(&mut self, flow: Flow, change: i32) {
        let (from, to) = (self.shape.rack(flow.from), self.shape.rack(flow.to));
        let mut links = vec![&mut self.out_of_node[flow.from as usize], &mut self.into_node[flow.to as usize]];
        if from != to {
            links.push(&mut self.out_of_rack[from as usize]);
            links.push(&mut self.into_rack[to as usize]);
        }
        for flows in links {
            *flows = flows.checked_add_signed(change).expect("a flow ends once");
        }
    }
}
