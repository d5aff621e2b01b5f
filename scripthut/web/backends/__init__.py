"""The machines: their cards, queues, disks, commands, and what their logins ask."""
