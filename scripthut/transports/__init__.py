"""Running a command and reading a file on a machine; knows no scheduler."""
