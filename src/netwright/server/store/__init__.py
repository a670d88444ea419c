"""What the server keeps: schema, loading, writing, reading. SQL stands here and nowhere else."""
