-- The raw records stay; what was counted of them by the minute is lost.
DROP TABLE usage_rollups;
DROP INDEX usage_batches_at;
