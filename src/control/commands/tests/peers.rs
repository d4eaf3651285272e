//! Chassis that get another address.

use super::*;

fn hv1() -> Ovn {
    Ovn { system_id: Some("hv1".to_owned()), ..Ovn::unkept() }
}

impl Bench {
    async fn change(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        self.ok("sbctl/change", &words).await
    }

    async fn chassis_of(&mut self, port: &str) -> String {
        let uuid = self.ok("sbctl/get", &["Port_Binding", port, "chassis"]).await.trim().to_owned();
        if uuid == "[]" {
            return String::new();
        }
        self.ok("sbctl/get", &["Chassis", &uuid, "name"]).await.trim().to_owned()
    }
}

#[test]
fn a_chassis_with_another_address_keeps_its_ports() {
    bench_with(&hv1(), async |mut bench| {
        bench.change("chassis-add hv2 geneve 192.0.2.2 -- chassis-add hv3 geneve 192.0.2.3").await;
        let ports = "ls-add s -- lsp-add s p -- lsp-add s q -- lsp-add s r -- lsp-add s c p 3";
        bench.ok("nbctl", &ports.split(' ').collect::<Vec<_>>()).await;
        bench.change("lsp-bind p hv2 -- lsp-bind q hv2 -- lsp-bind r hv2").await;
        // One of the ports moves in the same line, and one is bound no more.
        let line = "chassis-del hv2 -- chassis-add hv2 geneve 192.0.2.22 -- lsp-unbind q -- lsp-bind r hv3";
        bench.change(line).await;
        let shown = bench.ok("sbctl/show", &[]).await;
        assert!(shown.contains("ip: \"192.0.2.22\"") && !shown.contains("ip: \"192.0.2.2\""), "{shown}");
        for (port, chassis) in [("p", "hv2"), ("c", "hv2"), ("q", ""), ("r", "hv3")] {
            assert_eq!(bench.chassis_of(port).await, chassis, "{port}");
        }
        // The binding is one of before: it outlives the port.
        bench.ok("nbctl", &"lsp-del p -- lsp-add s p".split(' ').collect::<Vec<_>>()).await;
        assert_eq!(bench.chassis_of("p").await, "hv2");
        // To say it once more is no mistake.
        bench.change("chassis-del hv2 -- chassis-add hv2 geneve 192.0.2.2 -- lsp-bind p hv2").await;
        assert_eq!(bench.chassis_of("p").await, "hv2");
        // Without the chassis there is no binding, also where it is there later.
        bench.change("chassis-del hv2 -- chassis-add hv4 geneve 192.0.2.2").await;
        bench.change("chassis-del hv4 -- chassis-add hv2 geneve 192.0.2.2").await;
        assert_eq!(bench.chassis_of("p").await, "");
    });
}
