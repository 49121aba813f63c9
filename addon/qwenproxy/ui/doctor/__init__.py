"""`qwen-fix doctor`: asks a model server and says what is wrong with its answers."""
