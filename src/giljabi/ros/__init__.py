"""The only folder that imports rclpy or message types; a node converts, steps and publishes."""
