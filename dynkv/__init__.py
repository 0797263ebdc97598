"""dynkv: a supervisor for one machine's Dynamo + vLLM + LMCache stack."""

__version__ = "0.2.0"
