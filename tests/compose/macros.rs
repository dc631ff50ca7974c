//! Grafana's macros, carried out: what its plugins send to the stores in their place.
//!
//! Law: nothing that begins with `$` is left, so that a macro we do not know fails a test instead of a panel.

/// The time range that a dashboard shows, seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub(crate) from_secs: i64,
    pub(crate) to_secs: i64,
}

impl Range {
    /// The last hours before now, and a little more: what is written during the test is in it.
    pub(crate) fn hours(hours: i64) -> Range {
        let now = std::time::SystemTime::now();
        let since = now
            .duration_since(std::time::UNIX_EPOCH)
            .expect("after 1970");
        let to_secs = i64::try_from(since.as_secs()).expect("a time") + 60;
        let from_secs = to_secs - hours * 3600;
        Range { from_secs, to_secs }
    }
}

/// Replaces `$name(argument)` by what `with` makes of the argument.
fn each(text: &str, name: &str, with: impl Fn(&str) -> String) -> String {
    let opening = format!("${name}(");
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once(&opening) {
        let (argument, after) = after.split_once(')').expect("closed");
        out.push_str(before);
        out.push_str(&with(argument));
        rest = after;
    }
    out + rest
}

fn nothing_left(text: String) -> String {
    assert!(!text.contains('$'), "a macro is left in {text}");
    text
}

/// Grafana's own PostgreSQL data source.
pub(crate) fn postgres(sql: &str, range: Range) -> String {
    let time = |secs: i64| {
        jiff::Timestamp::from_second(secs)
            .expect("a time")
            .to_string()
    };
    let (from, to) = (time(range.from_secs), time(range.to_secs));
    nothing_left(each(sql, "__timeFilter", |column| {
        format!("{column} BETWEEN '{from}' AND '{to}'")
    }))
}

/// ClickHouse's own data source.
pub(crate) fn clickhouse(sql: &str, range: Range) -> String {
    let Range { from_secs, to_secs } = range;
    let sql = each(sql, "__timeFilter", |column| {
        format!("{column} >= toDateTime({from_secs}) AND {column} <= toDateTime({to_secs})")
    });
    nothing_left(each(&sql, "__dateFilter", |column| {
        format!("{column} >= toDate({from_secs}) AND {column} <= toDate({to_secs})")
    }))
}

/// The older data source for ClickHouse (vertamedia's, now Altinity's), as cloudflare/flow-pipeline uses it.
pub(crate) fn vertamedia(sql: &str, table: &str, range: Range) -> String {
    let Range { from_secs, to_secs } = range;
    let filter = format!(
        "Date >= toDate({from_secs}) AND Date <= toDate({to_secs}) AND TimeFlowStart >= toDateTime({from_secs}) \
         AND TimeFlowStart <= toDateTime({to_secs})"
    );
    let sql = sql.replace("$timeFilter", &filter);
    let sql = sql.replace("$dateTimeCol", "TimeFlowStart");
    nothing_left(sql.replace("$table", table))
}

/// Prometheus.
pub(crate) fn prometheus(expression: &str, interval: &str) -> String {
    let expression = expression.replace("$__rate_interval", interval);
    nothing_left(expression.replace("$__interval", interval))
}

#[test]
fn macros_are_replaced_and_unknown_ones_found() {
    let range = Range {
        from_secs: 0,
        to_secs: 86_400,
    };
    assert_eq!(
        postgres("$__timeFilter(a) and $__timeFilter(b)", range),
        "a BETWEEN '1970-01-01T00:00:00Z' AND '1970-01-02T00:00:00Z' \
         and b BETWEEN '1970-01-01T00:00:00Z' AND '1970-01-02T00:00:00Z'"
    );
    let one = clickhouse("$__dateFilter(Date)", range);
    assert_eq!(one, "Date >= toDate(0) AND Date <= toDate(86400)");
    assert_eq!(
        prometheus("rate(a[$__rate_interval])", "30s"),
        "rate(a[30s])"
    );
    assert!(std::panic::catch_unwind(|| postgres("$__unknown(a)", range)).is_err());
}
