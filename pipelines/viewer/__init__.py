"""The interactive viewer inside a report: what it shows, how the values are packed, and its HTML."""
