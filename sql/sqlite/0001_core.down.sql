-- Takes everything away: users, keys and usage are lost.
DROP TABLE audit_log;
DROP TABLE changes;
DROP TABLE usage_batches;
DROP TABLE api_usage;
DROP TABLE api_keys;
DROP TABLE permissions;
DROP TABLE user_roles;
DROP TABLE role_permissions;
DROP TABLE roles;
DROP TABLE users;
DROP TABLE instance;
