"""The outside of the product: real brokers, a real Redis, an independent target and an independent judge."""
