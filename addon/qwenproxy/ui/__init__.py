"""What a user sees: the log, mitmweb, the endpoints and the status page, and the doctor."""
