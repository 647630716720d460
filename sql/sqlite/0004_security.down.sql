DROP TABLE security_events;
DROP TABLE known_sources;
DROP TABLE lockouts;
DROP TABLE failed_attempts;
