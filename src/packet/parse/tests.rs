use super::*;

#[test]
fn a_runt_is_a_runt() {
    let (mut meta, mut key) = (PacketMeta::default(), FlowKey::default());
    let parsed = parse(&[0; 13], &mut meta, &mut key);
    assert_eq!(parsed, stopped(Shape::Short, Stop::Runt));
    assert_eq!(meta.len, 13);
}
