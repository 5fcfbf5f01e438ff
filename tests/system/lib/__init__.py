"""What the system tests share: the real programs as objects, a raw TLS client, the contract that every reply is held against."""
