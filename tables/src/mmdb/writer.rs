//! Writes small MaxMind DB files for tests, sound ones and others, from the format's description alone.

/// Nodes and data as they are to stand in a file.
pub(super) struct File {
    pub(super) record_bits: u16,
    pub(super) ip_version: u16,
    /// Both records of every node.
    pub(super) nodes: Vec<[u32; 2]>,
    pub(super) data: Vec<u8>,
}

impl File {
    /// The record that leads to byte `at` of the data.
    pub(super) fn record(&self, at: usize) -> u32 {
        u32::try_from(self.nodes.len() + 16 + at).unwrap()
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for [zero, one] in &self.nodes {
            let ([a, b, c, d], [e, f, g, h]) = (zero.to_be_bytes(), one.to_be_bytes());
            match self.record_bits {
                24 => bytes.extend([b, c, d, f, g, h]),
                28 => bytes.extend([b, c, d, a << 4 | e, f, g, h]),
                _ => bytes.extend([a, b, c, d, e, f, g, h]),
            }
        }
        bytes.extend([0; 16]);
        bytes.extend(&self.data);
        bytes.extend(b"\xab\xcd\xefMaxMind.com");
        let nodes = u32::try_from(self.nodes.len()).unwrap();
        let metadata = [
            ("binary_format_major_version", uint16(2)),
            ("binary_format_minor_version", uint16(0)),
            ("build_epoch", vec![0x01, 0x02, 1]),
            ("database_type", string("test")),
            ("description", map(&[("en", string("of a test"))])),
            ("ip_version", uint16(self.ip_version)),
            ("languages", vec![0x01, 0x04, 0x42, b'e', b'n']),
            ("node_count", [&[0xc4][..], &nodes.to_be_bytes()].concat()),
            ("record_size", uint16(self.record_bits)),
        ];
        bytes.extend(map(&metadata));
        bytes
    }
}

/// A string of fewer than 29 bytes.
pub(super) fn string(text: &str) -> Vec<u8> {
    let size = u8::try_from(text.len()).unwrap();
    assert!(size < 29);
    [&[0x40 | size], text.as_bytes()].concat()
}

/// A map of fewer than 29 entries.
pub(super) fn map(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let size = u8::try_from(entries.len()).unwrap();
    assert!(size < 29);
    let mut bytes = vec![0xe0 | size];
    for (name, value) in entries {
        bytes.extend(string(name));
        bytes.extend(value);
    }
    bytes
}

fn uint16(value: u16) -> Vec<u8> {
    [&[0xa2][..], &value.to_be_bytes()].concat()
}
