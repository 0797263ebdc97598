"""dynkv with the real LMCache, Dynamo and vLLM, on a CPU."""
