"""Sound files: probing, decoding, converting and cutting them."""
