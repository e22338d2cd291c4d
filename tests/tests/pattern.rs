//! The bytes that the other tests store and look for are what they say.

use granary_tests::Pattern;

#[test]
fn any_piece_is_a_piece_of_the_whole() {
    let whole = Pattern(7).bytes(0, 1000);
    for (offset, length) in [(0, 1000), (1, 7), (8, 8), (13, 500), (999, 1)] {
        assert_eq!(Pattern(7).bytes(offset as u64, length), whole.slice(offset..offset + length));
    }
    assert_eq!(Pattern(7).mismatch(3, &whole[3..]), None);
    let mut damaged = whole.to_vec();
    damaged[500] ^= 1;
    assert_eq!(Pattern(7).mismatch(0, &damaged), Some(500));
    assert_ne!(Pattern(8).bytes(0, 1000), whole);
}
