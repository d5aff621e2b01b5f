"""What is known and wished of backends: health, queues, disks, logins, directories of commits."""
