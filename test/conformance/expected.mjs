// Tests that end otherwise than bare, and why: { suite: { 'pattern of the test': 'reason' } }. Each reason is a difference
// that docs/security.md names.
export const expected = {
  'cpython/test_socket': {
    '.*UDPLITE.*': 'only sockets of protocols that an address rule can speak of: UDP-Lite is none',
  },
  'stress-ng': {
    sockdiag: 'of netlink only route sockets are made',
  },
};
