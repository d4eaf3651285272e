//! Finds DPDK, compiles the shim for its static inlines, and generates the narrow bindings. Does nothing without the
//! feature `dpdk`, except to guard the instruction set.

fn main() {
    guard_instruction_set();
    #[cfg(feature = "dpdk")]
    dpdk::build();
}

/// The packet path counts on CRC32C and wide loads; with less the same code takes nearly twice the cycles.
fn guard_instruction_set() {
    println!("cargo::rerun-if-changed=build.rs");
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let features = std::env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    if arch == "x86_64" && !features.split(',').any(|feature| feature == "avx2") {
        println!(
            "cargo::warning=built for less than x86-64-v3: RUSTFLAGS overrides .cargo/config.toml; \
             add `-C target-cpu=x86-64-v3` to it, or packets will cost about 1.8 times the cycles"
        );
    }
}

#[cfg(feature = "dpdk")]
mod dpdk {
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use bindgen::callbacks::{IntKind, ParseCallbacks};

    const SHIM: &str = "src/dpdk/shim.c";
    const HEADER: &str = "src/dpdk/shim.h";

    /// Offload and flag constants are `u64` whatever their value, as the fields that they go into.
    #[derive(Debug)]
    struct WideFlags;

    impl ParseCallbacks for WideFlags {
        fn int_macro(&self, name: &str, _value: i64) -> Option<IntKind> {
            let wide = ["RTE_ETH_RX_OFFLOAD", "RTE_ETH_TX_OFFLOAD", "RTE_MBUF_F_", "RTE_ETH_RSS_"];
            wide.iter().any(|prefix| name.starts_with(prefix)).then_some(IntKind::U64)
        }
    }

    pub fn build() {
        println!("cargo::rerun-if-changed={SHIM}");
        println!("cargo::rerun-if-changed={HEADER}");
        let cflags = cflags();
        link();
        compile_shim(&cflags);
        generate(&cflags);
    }

    /// The raw flags: the `pkg-config` crate would drop `-include rte_config.h` and `-march`.
    fn cflags() -> Vec<String> {
        let output = Command::new("pkg-config")
            .args(["--cflags", "libdpdk >= 22.11"])
            .output()
            .unwrap_or_else(|error| fail(&format!("cannot run pkg-config: {error}")));
        if !output.status.success() {
            fail(String::from_utf8_lossy(&output.stderr).trim());
        }
        String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned).collect()
    }

    fn fail(what: &str) -> ! {
        eprintln!(
            "DPDK 22.11 or newer was not found ({what}).\n\
             Install it (Debian, Ubuntu: apt-get install libdpdk-dev libclang-dev pkg-config), \
             or build without it: cargo build --no-default-features"
        );
        std::process::exit(1);
    }

    fn link() {
        if let Err(error) = pkg_config::Config::new().atleast_version("22.11").probe("libdpdk") {
            fail(&error.to_string());
        }
    }

    fn compile_shim(cflags: &[String]) {
        let mut build = cc::Build::new();
        build.file(SHIM).warnings(false);
        for flag in cflags {
            build.flag(flag);
        }
        build.compile("millrace_shim");
    }

    fn generate(cflags: &[String]) {
        let out: PathBuf = std::env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default();
        let functions = [
            "mr_.*",
            "rte_eal_(init|cleanup|get_runtime_dir)",
            "rte_eth_dev_(configure|start|stop|close|info_get|get_port_by_name|set_mtu|get_mtu|default_mac_addr_set)",
            "rte_eth_dev_(adjust_nb_rx_tx_desc|socket_id|get_supported_ptypes|set_link_up|is_valid_port)",
            "rte_eth_(rx|tx)_queue_setup",
            "rte_eth_promiscuous_(enable|disable|get)",
            "rte_eth_(stats_get|stats_reset|macaddr_get|link_get_nowait)",
            "rte_eth_xstats_(get|get_names)",
            "rte_eth_dev_(rx|tx)_offload_name",
            "rte_dev_(probe|remove)",
            "rte_pktmbuf_pool_create",
            "rte_mempool_(free|avail_count)",
            "rte_thread_(register|unregister)",
            "rte_strerror",
            "rte_version",
            "rte_log_(set_global_level|set_level_pattern)",
            "rte_get_tsc_hz",
        ];
        let mut builder = bindgen::Builder::default()
            .header(HEADER)
            .clang_args(cflags)
            .clang_macro_fallback()
            .clang_macro_fallback_build_dir(&out)
            .parse_callbacks(Box::new(WideFlags))
            .allowlist_type(
                "rte_(eth_dev_info|eth_conf|eth_stats|eth_xstat.*|eth_link|ether_addr|mbuf|mempool)",
            )
            .allowlist_var("RTE_ETH_(RX|TX)_OFFLOAD_(IPV4|TCP|UDP|SCTP)_CKSUM")
            .allowlist_var("RTE_ETH_RX_OFFLOAD_(RSS_HASH|CHECKSUM)")
            .allowlist_var("RTE_MBUF_F_((RX|TX)_.*|EXTERNAL|INDIRECT)")
            .allowlist_var("RTE_ETH_(RSS_IP|RSS_TCP|RSS_UDP|RSS_SCTP)")
            .allowlist_var("RTE_ETH_MQ_RX_.*")
            .allowlist_var("RTE_MAX_ETHPORTS|RTE_PKTMBUF_HEADROOM|RTE_MBUF_PRIV_ALIGN")
            // Packed inside aligned: Rust cannot express these, and nothing here looks into them.
            .opaque_type("rte_arp_.*|rte_gtp_.*")
            // Thread-locals would bind as plain statics and crash.
            .blocklist_item("per_lcore_.*")
            .derive_default(true)
            .generate_comments(false)
            .layout_tests(true)
            .formatter(bindgen::Formatter::None);
        for function in functions {
            builder = builder.allowlist_function(function);
        }
        let bindings = builder.generate().unwrap_or_else(|error| fail(&format!("bindgen: {error}")));
        write(&bindings, &out.join("dpdk_sys.rs"));
    }

    fn write(bindings: &bindgen::Bindings, path: &Path) {
        if let Err(error) = bindings.write_to_file(path) {
            fail(&format!("cannot write {}: {error}", path.display()));
        }
    }
}
