"""What schemathesis must know besides the document: how a signed object may look."""

import schemathesis
from hypothesis import strategies as st

# Mostly noise. The codec itself has a fuzzer (fuzz/): here it is about what HTTP makes of it.
schemathesis.openapi.media_type("application/vnd.labman.object", st.binary(max_size=2000))
