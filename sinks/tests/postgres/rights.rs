//! A user without rights is told all of them, before anything is made, as the statements that give them.
//!
//! The oracle is the server: what is told is run as it stands, then the store opens, and the user can do what a job does.

use flow_sinks::SinkErrorKind;

use crate::database::{Database, Session};
use crate::schema::THEIRS;

/// A database, and a user whose name needs quotation marks.
struct World {
    database: Database,
    user: String,
}

impl World {
    fn new() -> Option<World> {
        let database = Database::new()?;
        let user = format!("u-{}", database.name);
        let world = World { database, user };
        world.sql("CREATE ROLE USER LOGIN");
        Some(world)
    }

    /// As the administrator, who owns the database.
    fn sql(&self, sql: &str) {
        self.database.session.query(&self.named(sql));
    }

    fn named(&self, sql: &str) -> String {
        sql.replace("USER", &format!("\"{}\"", self.user))
            .replace("DATABASE d", &format!("DATABASE {}", self.database.name))
    }

    fn url(&self, options: &str) -> String {
        let server = self
            .database
            .server
            .replace("postgres@", &format!("{}@", self.user));
        let name = &self.database.name;
        format!("{server}/{name}?sslmode=disable{options}")
    }

    /// Every right and every object of the database.
    fn everything(&self) -> String {
        self.database.session.value(
            "SELECT (SELECT string_agg(oid::text || relname || relowner || coalesce(relacl::text, ''), ' ' ORDER BY oid)
                     FROM pg_class WHERE relpersistence <> 't')
                 || (SELECT string_agg(oid::text || nspname || coalesce(nspacl::text, ''), ' ' ORDER BY oid)
                     FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp_')",
        )
    }

    /// Makes the tables as the administrator.
    fn made(&self, options: &str) {
        let url = format!("{}{options}", self.database.url());
        let printed = flow_sinks::schema(&url).unwrap().print().join(";");
        Session::open(&format!("{}/{}", self.database.server, self.database.name)).query(&printed);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // In the order in which the server allows it.
        for sql in ["DROP OWNED BY USER CASCADE", "DROP ROLE USER"] {
            let sql = self.named(sql);
            if let Err(error) = self.database.session.try_query(&sql) {
                eprintln!("{sql}: {error}");
            }
        }
    }
}

const OWN_ALL: &str = "DO $$ DECLARE t text; BEGIN FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public'
    LOOP EXECUTE 'ALTER TABLE ' || t || ' OWNER TO USER'; END LOOP; END $$";
const WRITE: &str = "GRANT SELECT, INSERT, UPDATE, DELETE ON";

/// What a database is like, the URL's options, and the rights that the user lacks there.
struct Case {
    /// Whose tables are there beforehand; none for an empty database.
    made: Option<&'static str>,
    before: &'static str,
    options: &'static str,
    lacks: String,
}

fn case(made: Option<&'static str>, before: &'static str, options: &'static str) -> Case {
    Case {
        made,
        before,
        options,
        lacks: String::new(),
    }
}

impl Case {
    fn lacks(self, statements: &[&str]) -> Case {
        Case {
            lacks: statements.join("; "),
            ..self
        }
    }
}

fn cases() -> Vec<Case> {
    let create = "GRANT CREATE ON SCHEMA public TO USER";
    let temporary = "GRANT TEMPORARY ON DATABASE d TO USER";
    let tables = "public.flow_pipeline_cursors, public.rollup_5m, public.rollup_5m_country, public.slots TO USER";
    let (seen, written) = (
        format!("{WRITE} public.flow_pipeline_schema TO USER"),
        format!("{WRITE} {tables}"),
    );
    let with_raw = format!(
        "{WRITE} public.flow_pipeline_cursors, public.flow_pipeline_raw_cursors, {}",
        tables.split_once(", ").unwrap().1
    );
    let owns = ["flows", "flows_implausible"]
        .map(|table| format!("ALTER TABLE public.{table} OWNER TO USER"));
    vec![
        case(None, "", "").lacks(&[create]),
        case(None, "GRANT CREATE ON SCHEMA public TO USER; REVOKE TEMPORARY ON DATABASE d FROM PUBLIC", "")
            .lacks(&[temporary]),
        case(None, "REVOKE ALL ON DATABASE d FROM PUBLIC; GRANT CONNECT ON DATABASE d TO USER", "&raw=off")
            .lacks(&[create, temporary]),
        case(None, "REVOKE USAGE ON SCHEMA public FROM PUBLIC", "")
            .lacks(&["GRANT USAGE ON SCHEMA public TO USER", create]),
        case(None, "CREATE SCHEMA \"S 7\"", "&schema=S%207")
            .lacks(&["GRANT USAGE ON SCHEMA \"S 7\" TO USER", "GRANT CREATE ON SCHEMA \"S 7\" TO USER"]),
        case(None, "", "&schema=s8").lacks(&["GRANT CREATE ON DATABASE d TO USER"]),
        case(Some(""), OWN_ALL, "").lacks(&[create]),
        case(Some(""), "", "").lacks(&[&seen, create, &owns[0], &owns[1], &with_raw]),
        case(Some("&raw=off"), "REVOKE TEMPORARY ON DATABASE d FROM PUBLIC", "&raw=off")
            .lacks(&[&seen, temporary, &written]),
        case(
            None,
            "GRANT CREATE ON SCHEMA public TO USER; GRANT SELECT, INSERT, UPDATE, DELETE ON flows TO USER",
            "&theirs",
        )
        .lacks(&["GRANT USAGE ON SEQUENCE public.flows_id_seq TO USER"]),
    ]
}

#[test]
fn all_that_is_lacking_is_told_before_anything_is_made() {
    for case in cases() {
        let Some(world) = World::new() else { return };
        let options = case.options.replace("&theirs", "");
        if options != case.options {
            world.sql(THEIRS);
        }
        if let Some(made) = case.made {
            world.made(made);
        }
        if !case.before.is_empty() {
            world.sql(case.before);
        }
        let url = world.url(&options);
        let before = world.everything();
        let Err(error) = flow_sinks::open(&url) else {
            panic!("{url} was taken although it lacks {}", case.lacks)
        };
        let line = error.to_string();
        assert_eq!(error.kind, SinkErrorKind::Refused, "{line}");
        let (_, told) = line
            .rsplit_once(" give: ")
            .or(line.rsplit_once(" gives: "))
            .unwrap();
        assert_eq!(told, world.named(&case.lacks), "{line}");
        if let Ok(standing) = flow_sinks::schema(&url).unwrap().look() {
            assert_eq!(standing.lacking.as_ref(), Some(&error), "{line}");
        } else {
            assert!(told.contains("USAGE ON SCHEMA") || told.contains("flow_pipeline_schema"));
        }
        assert_eq!(world.everything(), before, "{line}");
        world.sql(told);
        drop(flow_sinks::open(&url).unwrap_or_else(|error| panic!("after {told}: {error}")));
        let standing = flow_sinks::schema(&url).unwrap().look().unwrap();
        assert_eq!(standing.lacking, None);
        if !options.contains("raw=off") {
            let schema = standing_schema(&options);
            world.a_day_of_raw_flows(schema);
        }
    }
}

fn standing_schema(options: &str) -> &str {
    match options {
        "&schema=S%207" => "\"S 7\"",
        "&schema=s8" => "s8",
        _ => "public",
    }
}

impl World {
    /// What a job does to write raw flows, by other words than its own.
    fn a_day_of_raw_flows(&self, schema: &str) {
        let url = self.url("");
        let session = Session::open(url.split('?').next().unwrap());
        session.query(&format!(
            "SET search_path = {schema};
             CREATE TABLE day PARTITION OF flows_implausible FOR VALUES FROM ('2020-01-01') TO ('2020-01-02');
             INSERT INTO flows_implausible (date_inserted) VALUES ('2020-01-01')"
        ));
        let kind = "SELECT relkind FROM pg_class WHERE oid = 'flows'::regclass";
        if session.value(kind) == "r" {
            session.query("INSERT INTO flows (date_inserted) VALUES ('2020-01-01')");
        }
    }
}

#[test]
fn what_retention_drops_must_be_the_users() {
    let Some(world) = World::new() else { return };
    world.made("");
    world.sql(OWN_ALL);
    world.sql(
        "GRANT CREATE ON SCHEMA public TO USER;
         CREATE TABLE flows_20200101 PARTITION OF flows FOR VALUES FROM ('2020-01-01') TO ('2020-01-02')",
    );
    let lacking = |options: &str| {
        let mut schema = flow_sinks::schema(&world.url(options)).unwrap();
        schema
            .look()
            .unwrap()
            .lacking
            .map(|error| error.to_string())
    };
    assert_eq!(lacking(""), None);
    let line = lacking("&raw_retention=7d").unwrap();
    let (_, told) = line.split_once(" gives: ").unwrap();
    assert_eq!(
        told,
        world.named("ALTER TABLE public.flows_20200101 OWNER TO USER")
    );
    world.sql(told);
    assert_eq!(lacking("&raw_retention=7d"), None);
    let url = world.url("");
    Session::open(url.split('?').next().unwrap()).query("DROP TABLE flows_20200101");
}

#[test]
fn who_has_the_rights_by_a_role_lacks_none_and_who_only_reads_may_compare() {
    let Some(world) = World::new() else { return };
    world.made("");
    world.sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO USER");
    let mut schema = flow_sinks::schema(&world.url("")).unwrap();
    let standing = schema.look().unwrap();
    assert_eq!(standing.differences, Vec::<String>::new());
    assert!(standing.lacking.is_some());
    // All of it is owned by the role that the user is in.
    let owner = format!("owner_{}", world.database.name);
    world.sql(&format!(
        "CREATE ROLE {owner}; GRANT {owner} TO USER; GRANT CREATE ON SCHEMA public TO {owner}"
    ));
    world.sql(&OWN_ALL.replace("USER", &owner));
    assert_eq!(schema.look().unwrap().lacking, None);
    drop(flow_sinks::open(&world.url("")).unwrap());
    world.sql(&format!("DROP OWNED BY {owner} CASCADE; DROP ROLE {owner}"));
}
