"""Tests against real servers: a Kafka broker and a redis-server that they start themselves."""
