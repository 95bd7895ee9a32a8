"""What people see: the live page and its reports."""
