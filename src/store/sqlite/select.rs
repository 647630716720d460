use rusqlite::types::ToSql;

/// A list query that grows by the filters that were asked for, so that each can use its index.
pub(super) struct Select {
    sql: String,
    values: Vec<Box<dyn ToSql>>,
}

impl Select {
    /// `sql` ends inside its WHERE clause.
    pub(super) fn new(sql: String) -> Self {
        Self { sql, values: Vec::new() }
    }

    /// Adds `AND condition`, in which one `?` stands for `value`, when there is a value.
    pub(super) fn and<T: ToSql + 'static>(mut self, condition: &str, value: Option<T>) -> Self {
        let Some(value) = value else { return self };
        self.sql.push_str(" AND ");
        self.with(condition, value)
    }

    /// Goes on with `sql`, in which one `?` stands for `value`.
    pub(super) fn with<T: ToSql + 'static>(mut self, sql: &str, value: T) -> Self {
        self.sql.push_str(sql);
        self.values.push(Box::new(value));
        self
    }

    /// The query that ends with `end`, and its parameters.
    pub(super) fn ended(mut self, end: &str) -> (String, Vec<Box<dyn ToSql>>) {
        self.sql.push_str(end);
        (self.sql, self.values)
    }

    /// The query's text and parameters, in the order of `key` and cut to `limit`.
    pub(super) fn ordered(mut self, key: &str, limit: i64) -> (String, Vec<Box<dyn ToSql>>) {
        self.sql.push_str(&format!(" ORDER BY {key} LIMIT ?"));
        self.values.push(Box::new(limit));
        (self.sql, self.values)
    }
}
