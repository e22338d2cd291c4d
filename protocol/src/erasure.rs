//! Reed-Solomon coding over GF(2^8), polynomial 0x11D: the bytes of any `data` members of a group give those of all others.
//!
//! The code is systematic and its matrix is the one of the `reed-solomon-erasure` crates (a Vandermonde matrix made
//! systematic), so parity bytes are the same as theirs. What is done to bytes is always the same: outputs are linear
//! combinations of inputs. [`Code::combination`] says which; encoding and rebuilding differ only in the coefficients.
//!
//! Members of unequal length are padded with zeros that nobody stores: a missing input is all zeros.

use rustfs_erasure_codec::galois_8;

/// The most data members of a group.
pub const DATA_MEMBERS_MAX: u8 = 32;
/// The most parity members of a group.
pub const PARITY_MEMBERS_MAX: u8 = 16;

/// Bytes of every input that are worked on before the next, so that the outputs stay in the processor's first cache.
const TILE_BYTES: usize = 8 << 10;

/// Multiplication of byte runs in the field: the one thing that must be fast.
pub trait Field: Send + Sync {
    /// `output = factor × input`; both are equally long.
    fn multiply(&self, factor: u8, input: &[u8], output: &mut [u8]);
    /// `output += factor × input`; both are equally long.
    fn multiply_add(&self, factor: u8, input: &[u8], output: &mut [u8]);
    /// How it is done, for people: the instruction set in use.
    fn name(&self) -> &'static str;
}

/// The field with the widest instructions this processor has, found at run time.
#[derive(Clone, Copy, Debug, Default)]
pub struct SimdField;

impl Field for SimdField {
    fn multiply(&self, factor: u8, input: &[u8], output: &mut [u8]) {
        galois_8::mul_slice(factor, input, output);
    }

    fn multiply_add(&self, factor: u8, input: &[u8], output: &mut [u8]) {
        galois_8::mul_slice_xor(factor, input, output);
    }

    fn name(&self) -> &'static str {
        galois_8::active_backend_name()
    }
}

/// Why a code or a combination cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ErasureError {
    /// No data, no parity, or more of either than a group may have.
    #[error("a group has 1 to {DATA_MEMBERS_MAX} data and 1 to {PARITY_MEMBERS_MAX} parity members")]
    Shape,
    /// Not exactly as many different inputs as the code has data members, or a member that the group does not have.
    #[error("the members named do not determine the others")]
    Members,
}

/// A code for groups of one shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    data: usize,
    /// One row a member, data members first: its coefficients over the data members.
    rows: Vec<Vec<u8>>,
}

impl Code {
    /// The code of `data` + `parity` members.
    ///
    /// # Errors
    /// [`ErasureError::Shape`].
    pub fn new(data: u8, parity: u8) -> Result<Code, ErasureError> {
        let fits = (1..=DATA_MEMBERS_MAX).contains(&data) && (1..=PARITY_MEMBERS_MAX).contains(&parity);
        if !fits {
            return Err(ErasureError::Shape);
        }
        let (data, members) = (usize::from(data), usize::from(data) + usize::from(parity));
        let vandermonde: Vec<Vec<u8>> =
            (0..members).map(|row| (0..data).map(|column| galois_8::exp(row as u8, column)).collect()).collect();
        let top = invert(&vandermonde[..data]).ok_or(ErasureError::Shape)?;
        let rows = vandermonde.iter().map(|row| times(row, &top)).collect();
        Ok(Code { data, rows })
    }

    /// Members of a group, data first.
    pub fn members(&self) -> usize {
        self.rows.len()
    }

    /// How the `outputs` come from the `inputs`, both given as members' places in the group.
    ///
    /// # Errors
    /// [`ErasureError::Members`].
    pub fn combination(&self, inputs: &[u8], outputs: &[u8]) -> Result<Combination, ErasureError> {
        let row = |member: &u8| self.rows.get(usize::from(*member)).cloned().ok_or(ErasureError::Members);
        if inputs.len() != self.data {
            return Err(ErasureError::Members);
        }
        let known = inputs.iter().map(row).collect::<Result<Vec<_>, _>>()?;
        // Two equal rows have no inverse: an input named twice is refused here.
        let decode = invert(&known).ok_or(ErasureError::Members)?;
        let factors = outputs.iter().map(|output| Ok(times(&row(output)?, &decode))).collect::<Result<Vec<_>, _>>()?;
        Ok(Combination { factors })
    }
}

/// Outputs as linear combinations of inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Combination {
    /// One row an output, one factor an input.
    factors: Vec<Vec<u8>>,
}

impl Combination {
    /// Writes the outputs from `start` bytes of each input on: `outputs[i]` gets its bytes for the same range. An input
    /// that is shorter than the outputs counts as zeros from its end on.
    ///
    /// # Panics
    /// With another number of inputs or outputs than planned, or outputs of unequal length.
    pub fn apply(&self, field: &dyn Field, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) {
        assert_eq!(outputs.len(), self.factors.len(), "as many outputs as were planned");
        let length = outputs.first().map_or(0, |output| output.len());
        assert!(outputs.iter().all(|output| output.len() == length), "outputs are equally long");
        for from in (0..length).step_by(TILE_BYTES) {
            let until = length.min(from + TILE_BYTES);
            for (factors, output) in self.factors.iter().zip(outputs.iter_mut()) {
                assert_eq!(factors.len(), inputs.len(), "as many inputs as were planned");
                combine(field, factors, inputs, from, &mut output[from..until]);
            }
        }
    }
}

/// One tile of one output.
fn combine(field: &dyn Field, factors: &[u8], inputs: &[&[u8]], from: usize, output: &mut [u8]) {
    let mut begun = false;
    for (factor, input) in factors.iter().zip(inputs) {
        let Some(input) = input.get(from..).filter(|input| *factor != 0 && !input.is_empty()) else { continue };
        let bytes = input.len().min(output.len());
        if begun {
            field.multiply_add(*factor, &input[..bytes], &mut output[..bytes]);
        } else {
            field.multiply(*factor, &input[..bytes], &mut output[..bytes]);
            output[bytes..].fill(0);
            begun = true;
        }
    }
    if !begun {
        output.fill(0);
    }
}

/// `row × matrix`.
fn times(row: &[u8], matrix: &[Vec<u8>]) -> Vec<u8> {
    let columns = matrix.first().map_or(0, Vec::len);
    let cell = |column: usize| row.iter().zip(matrix).fold(0, |sum, (a, b)| sum ^ galois_8::mul(*a, b[column]));
    (0..columns).map(cell).collect()
}

/// The inverse of a square matrix, by Gauss and Jordan; `None` where there is none.
fn invert(matrix: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    let size = matrix.len();
    let mut work: Vec<Vec<u8>> = matrix.to_vec();
    for (at, row) in work.iter_mut().enumerate() {
        row.extend((0..size).map(|column| u8::from(column == at)));
    }
    for column in 0..size {
        let pivot = (column..size).find(|row| work[*row][column] != 0)?;
        work.swap(column, pivot);
        let by = galois_8::div(1, work[column][column]);
        work[column].iter_mut().for_each(|cell| *cell = galois_8::mul(*cell, by));
        let pivot_row = work[column].clone();
        for (_, row) in work.iter_mut().enumerate().filter(|(at, _)| *at != column) {
            let factor = row[column];
            row.iter_mut().zip(&pivot_row).for_each(|(cell, other)| *cell ^= galois_8::mul(factor, *other));
        }
    }
    Some(work.into_iter().map(|row| row[size..].to_vec()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(seed: u64, length: usize) -> Vec<u8> {
        let mut state = seed | 1;
        (0..length)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            })
            .collect()
    }

    fn slices(members: &[Vec<u8>]) -> Vec<&[u8]> {
        members.iter().map(Vec::as_slice).collect()
    }

    fn outputs(members: &mut [Vec<u8>]) -> Vec<&mut [u8]> {
        members.iter_mut().map(Vec::as_mut_slice).collect()
    }

    /// All members of a group whose data members are these, padded to the longest.
    fn encode(data: &[Vec<u8>], parity: u8) -> Vec<Vec<u8>> {
        let longest = data.iter().map(Vec::len).max().unwrap();
        let code = Code::new(data.len() as u8, parity).unwrap();
        let inputs: Vec<u8> = (0..data.len() as u8).collect();
        let wanted: Vec<u8> = (data.len() as u8..data.len() as u8 + parity).collect();
        let mut made = vec![vec![0xEE; longest]; usize::from(parity)];
        code.combination(&inputs, &wanted).unwrap().apply(&SimdField, &slices(data), &mut outputs(&mut made));
        let padded = data.iter().map(|member| {
            let mut member = member.clone();
            member.resize(longest, 0);
            member
        });
        padded.chain(made).collect()
    }

    #[test]
    fn parity_bytes_are_those_of_reed_solomon_erasure() {
        for (data, parity) in [(1, 1), (2, 1), (4, 2), (6, 3), (10, 4), (5, 3), (17, 3)] {
            let members: Vec<Vec<u8>> = (0..data).map(|at| bytes(at as u64 * 77 + 1, 20_011)).collect();
            let ours = encode(&members, parity);
            let oracle = reed_solomon_erasure::galois_8::ReedSolomon::new(data, usize::from(parity)).unwrap();
            let mut theirs = members.clone();
            theirs.resize(data + usize::from(parity), vec![0; 20_011]);
            oracle.encode(&mut theirs).unwrap();
            assert_eq!(ours, theirs, "{data}+{parity}");
        }
    }

    #[test]
    fn all_84_ways_to_lose_three_of_nine_are_undone() {
        let data: Vec<Vec<u8>> = (0..6).map(|at| bytes(at + 1, 9_000 - at as usize * 1_200)).collect();
        let whole = encode(&data, 3);
        let code = Code::new(6, 3).unwrap();
        let mut ways = 0;
        for lost in (0u32..1 << 9).filter(|lost| lost.count_ones() == 3) {
            let (gone, left): (Vec<u8>, Vec<u8>) = (0..9u8).partition(|member| lost >> member & 1 == 1);
            let inputs: Vec<&[u8]> = left.iter().map(|member| stored(&data, &whole, *member)).collect();
            let mut made = vec![vec![0xEE; whole[0].len()]; 3];
            code.combination(&left, &gone).unwrap().apply(&SimdField, &inputs, &mut outputs(&mut made));
            for (member, made) in gone.iter().zip(&made) {
                assert_eq!(*made, whole[usize::from(*member)], "member {member} of {gone:?}");
            }
            ways += 1;
        }
        assert_eq!(ways, 84);
    }

    /// A member as it is on disk: data members without their padding.
    fn stored<'m>(data: &'m [Vec<u8>], whole: &'m [Vec<u8>], member: u8) -> &'m [u8] {
        data.get(usize::from(member)).unwrap_or(&whole[usize::from(member)])
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert_eq!(Code::new(0, 1), Err(ErasureError::Shape));
        assert_eq!(Code::new(1, 0), Err(ErasureError::Shape));
        assert_eq!(Code::new(33, 1), Err(ErasureError::Shape));
        let code = Code::new(2, 1).unwrap();
        assert_eq!(code.combination(&[0], &[2]), Err(ErasureError::Members));
        assert_eq!(code.combination(&[0, 0], &[2]), Err(ErasureError::Members));
        assert_eq!(code.combination(&[0, 3], &[2]), Err(ErasureError::Members));
        assert_eq!(code.members(), 3);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn any_members_give_the_rest(
            data in 1u8..=12, parity in 1u8..=5, seed: u64, lengths in prop::collection::vec(0usize..20_000, 12),
        ) {
            let members: Vec<Vec<u8>> =
                (0..usize::from(data)).map(|at| bytes(seed ^ at as u64, lengths[at])).collect();
            let whole = encode(&members, parity);
            let mut order: Vec<u8> = (0..data + parity).collect();
            order.sort_by_key(|member| seed.rotate_left(u32::from(*member) * 5) ^ u64::from(*member) * 0x9e37_79b9);
            let (left, gone) = order.split_at(usize::from(data));
            let inputs: Vec<&[u8]> = left.iter().map(|member| stored(&members, &whole, *member)).collect();
            let mut made = vec![vec![0xEE; whole[0].len()]; gone.len()];
            let code = Code::new(data, parity).unwrap();
            code.combination(left, gone).unwrap().apply(&SimdField, &inputs, &mut outputs(&mut made));
            for (member, made) in gone.iter().zip(&made) {
                prop_assert_eq!(made, &whole[usize::from(*member)]);
            }
        }
    }
}
