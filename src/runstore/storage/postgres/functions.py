"""SQL functions of the tables that PostgreSQL lacks; they exist beside the tables of a store."""
# ruff: noqa: S608 - nothing but constants of this file is put into a text

from __future__ import annotations

# The lock of the store, held to the end of each transaction that writes: shared by those that
# change only some runs. The number is the mark of our SQLite files.
WRITE_LOCK = 0x72756E73

# More locks of runs at once could fill the server's table of locks: the store is locked instead.
LOCKS_AT_MOST = 50

# Whether runs have changes that the next transactions would number again.
IS_BEHIND = """
    SELECT (SELECT coalesce(max(r.changed), 0) FROM runs r)
        >= (change_base() + pg_snapshot_xmax(pg_current_snapshot())::text::bigint) << 16
"""
RAISE_BASE = f"""
    INSERT INTO store_state (name, value)
    SELECT 'change_base', (
        (max(r.changed) >> 16) + 1 - pg_snapshot_xmin(pg_current_snapshot())::text::bigint
    )::text FROM runs r HAVING ({IS_BEHIND})
    ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""

# Functions of columns, which are created before the tables.
COLUMN_FUNCTIONS = (
    # Too slow for searches, and refused by parallel queries of PostgreSQL 14 to 16.
    """
    CREATE FUNCTION is_json(body text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL UNSAFE AS $$
    BEGIN
        PERFORM body::json;
        RETURN true;
    EXCEPTION WHEN invalid_text_representation OR statement_too_complex THEN
        RETURN false;
    END $$
    """,
    # The number that a tag's text spells, as `model/query/exact.py` parses it.
    r"""
    CREATE FUNCTION number_of(spelled text) RETURNS double precision
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
    BEGIN
        -- Most numbers are short; the block below costs several times as much.
        IF spelled ~ '^-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?$' THEN
            RETURN spelled::double precision;
        END IF;
        IF spelled IN ('false', 'true') THEN
            RETURN CASE spelled WHEN 'true' THEN 1 ELSE 0 END;
        END IF;
        IF spelled IN ('inf', '-inf') THEN
            RETURN (spelled || 'inity')::double precision;
        END IF;
        IF spelled !~ '^-?((0|[1-9][0-9]*)(\.[0-9]+)?|\.[0-9]+)([eE][+-]?[0-9]+)?$' THEN
            RETURN NULL;
        END IF;
        -- Checked before the cast: its error could only be caught in a subtransaction, which
        -- parallel queries of PostgreSQL 14 to 16 refuse.
        DECLARE
            parts text[] := regexp_match(
                spelled, '^-?([0-9]*)\.?([0-9]*)(?:[eE]([+-]?)0*([0-9]*))?$');
            digits text := ltrim(parts[1] || parts[2], '0');
            head numeric := ('0.' || left(digits, 60))::numeric;
            -- The number is 0.DIGITS times ten to this power.
            power bigint := length(digits) - length(parts[2])
                + CASE parts[3] WHEN '-' THEN -1 ELSE 1 END
                * coalesce(nullif(left(parts[4], 17), ''), '0')::bigint;
        BEGIN
            -- Half of the smallest number, and the first one that is rounded to infinity.
            IF digits = '' OR power < -323 OR power = -323
                AND head <= 0.24703282292062327208828439643411068618
            THEN
                RETURN 0;
            END IF;
            IF power > 309 OR power = 309
                AND head >= 0.17976931348623158079372897140530341507
            THEN
                -- Python reads integers of any length.
                RETURN CASE WHEN spelled ~ '^-?[0-9]+$' THEN
                    CASE WHEN spelled LIKE '-%' THEN '-infinity' ELSE 'infinity' END
                END::double precision;
            END IF;
            RETURN spelled::double precision;
        END;
    END $$
    """,
)
# A change of one of these is a migration.
FUNCTIONS = (
    # JSON without escapes of characters that no text of PostgreSQL contains: NUL and lone
    # surrogates, which become U+FFFD. Pairs of surrogates are spelled `\v` meanwhile, which is
    # no escape of JSON.
    r"""
    CREATE FUNCTION storable_json(body text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
    BEGIN
        IF strpos(body, '\u') = 0 OR body !~ '\\u(0000|[dD][89a-fA-F])' THEN
            RETURN body;
        END IF;
        body := replace(body, '\\', '\u005c');
        body := regexp_replace(
            body, '\\u([dD][89abAB][[:xdigit:]]{2})\\u([dD][c-fC-F])', '\\v\1\\v\2', 'g'
        );
        body := regexp_replace(body, '\\u(0000|[dD][89a-fA-F][[:xdigit:]]{2})', '\\ufffd', 'g');
        RETURN replace(body, '\v', '\u');
    END $$
    """,
    """
    CREATE FUNCTION json_ids(ids text) RETURNS TABLE (key bigint, value bigint)
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
        SELECT n.place - 1, n.one::bigint
        FROM json_array_elements_text(ids::json) WITH ORDINALITY n (one, place)
    $$
    """,
    """
    CREATE FUNCTION json_texts(texts text) RETURNS TABLE (key bigint, value text)
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
        SELECT n.place - 1, n.one
        FROM json_array_elements_text(storable_json(texts)::json) WITH ORDINALITY n (one, place)
    $$
    """,
    # A number of JSON; those that are too large are infinite, as in Python.
    """
    CREATE FUNCTION json_number(spelled text) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT coalesce(number_of(spelled),
            CASE WHEN spelled LIKE '-%' THEN '-infinity' ELSE 'infinity' END::double precision)
    $$
    """,
    # The value of one captured fact in columns.
    """
    CREATE FUNCTION fact_cell(fact json)
    RETURNS TABLE (type text, number double precision, text text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT
            CASE json_typeof(fact) WHEN 'string' THEN 'text' WHEN 'boolean' THEN fact::text
                ELSE json_typeof(fact) END,
            CASE json_typeof(fact) WHEN 'number' THEN json_number(fact #>> '{}')
                WHEN 'boolean' THEN CASE fact::text WHEN 'true' THEN 1.0 ELSE 0.0 END END,
            CASE WHEN json_typeof(fact) IN ('string', 'boolean') THEN fact #>> '{}' END
    $$
    """,
    # The values of one captured fact, or the names of all: the path is '$.values."git.commit"' or
    # '$.values'. Most facts are texts, and searches read those of thousands of runs.
    """
    CREATE FUNCTION fact_cells(facts text, path text)
    RETURNS TABLE (key text, type text, number double precision, text text)
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE ROWS 5 AS $$
    DECLARE
        known json := storable_json(facts)::json -> 'values';
        fact json;
        kind text;
    BEGIN
        IF json_typeof(known) IS DISTINCT FROM 'object' THEN
            RETURN;
        END IF;
        IF path = '$.values' THEN
            RETURN QUERY SELECT e.key, c.* FROM json_each(known) e, fact_cell(e.value) c;
            RETURN;
        END IF;
        fact := known -> substr(path, 11, greatest(length(path) - 11, 0));
        kind := json_typeof(fact);
        IF kind = 'string' THEN
            type := 'text';
            text := fact #>> '{}';
            RETURN NEXT;
        ELSIF kind = 'array' THEN
            RETURN QUERY SELECT NULL, c.* FROM json_array_elements(fact) a, fact_cell(a.value) c;
        ELSIF kind <> 'object' THEN
            RETURN QUERY SELECT NULL, c.* FROM fact_cell(fact) c;
        END IF;
    END $$
    """,
    # A number as text for patterns, as Python writes it. PostgreSQL adds digits if the shortest
    # text is half way between two numbers, such as 1e23; none of 16 digits is beyond 1e40.
    r"""
    CREATE FUNCTION number_text(number double precision) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
        SELECT CASE
            WHEN number = 'infinity' THEN 'inf'
            WHEN number = '-infinity' THEN '-inf'
            WHEN abs(number) < 1e15 AND number = trunc(number) THEN number::bigint::text
            WHEN abs(number) >= 1e15 AND abs(number) < 1e16 THEN
                number::text::numeric::text
                || CASE WHEN number = trunc(number) THEN '.0' ELSE '' END
            WHEN abs(number) >= 1e16 AND abs(number) < 1e40 THEN coalesce(
                (
                    SELECT regexp_replace(btrim(to_char(number, form)), '\.?0*e', 'e')
                    FROM (VALUES ('9.99999999999999EEEE'), ('9.999999999999999EEEE')) AS f(form)
                    WHERE to_char(number, form)::double precision = number
                    ORDER BY length(form) LIMIT 1
                ),
                number::text
            )
            ELSE number::text
        END
    $$
    """,
    """
    CREATE FUNCTION is_match(pattern text, value text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT value COLLATE "default" ~ pattern $$
    """,
    # Division that becomes zero instead of an error.
    """
    CREATE FUNCTION mean_of(total double precision, count bigint) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT CASE WHEN count > 0 AND abs(total) < 1e-290 THEN 0 ELSE total / nullif(count, 0) END
    $$
    """,
    # The order of versions; NULL for other texts, which are compared for equality.
    # Source: PEP 440 and packaging 24, without local versions.
    r"""
    CREATE FUNCTION version_key(version text) RETURNS bigint[]
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
    DECLARE
        m text[];
        release text[];
    BEGIN
        -- Most versions have no letters; the expression below takes forty times as long.
        IF version ~ '^[0-9]{1,18}(\.[0-9]{1,18}){0,9}$' THEN
            release := string_to_array(version, '.');
            RETURN 0::bigint
                || (release || array_fill('0'::text, ARRAY[10 - cardinality(release)]))::bigint[]
                || ARRAY[9, 0, -1, 1::bigint << 62];
        END IF;
        m := regexp_match(lower(btrim(version)), '^v?(?:([0-9]{1,18})!)?'
            '([0-9]{1,18}(?:\.[0-9]{1,18})*)'
            '(?:[-_.]?(alpha|a|beta|b|preview|pre|c|rc)[-_.]?([0-9]{0,18}))?'
            '(?:-([0-9]{1,18})|[-_.]?(post|rev|r)[-_.]?([0-9]{0,18}))?'
            '(?:[-_.]?(dev)[-_.]?([0-9]{0,18}))?$');
        release := string_to_array(m[2], '.');
        IF m IS NULL OR cardinality(release) > 10 THEN
            RETURN NULL;
        END IF;
        RETURN coalesce(m[1], '0')::bigint
            || (release || array_fill('0'::text, ARRAY[10 - cardinality(release)]))::bigint[]
            || ARRAY[
                CASE
                    WHEN coalesce(m[3], m[5], m[6]) IS NULL AND m[8] IS NOT NULL THEN -1
                    WHEN m[3] IS NULL THEN 9
                    WHEN m[3] LIKE 'a%' THEN 0
                    WHEN m[3] LIKE 'b%' THEN 1
                    ELSE 2
                END,
                coalesce(nullif(m[4], ''), '0')::bigint,
                CASE WHEN coalesce(m[5], m[6]) IS NULL THEN -1
                    ELSE coalesce(m[5], nullif(m[7], ''), '0')::bigint END,
                CASE WHEN m[8] IS NULL THEN 1::bigint << 62
                    ELSE coalesce(nullif(m[9], ''), '0')::bigint END
            ];
    END $$
    """,
    """
    CREATE FUNCTION version_holds(op text, version text, wanted text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
    DECLARE
        one bigint[] := version_key(version);
        other bigint[] := version_key(wanted);
    BEGIN
        IF one IS NULL OR other IS NULL THEN
            RETURN op = '=' AND version = wanted;
        END IF;
        RETURN CASE op
            WHEN '=' THEN one = other
            WHEN '<' THEN one < other
            WHEN '<=' THEN one <= other
            WHEN '>' THEN one > other
            ELSE one >= other
        END;
    END $$
    """,
    # Locks for a transaction that only changes these runs: the lock of the store, shared, and one
    # for each run, in the same order in every program.
    f"""
    CREATE FUNCTION lock_runs(patience text, uids text[]) RETURNS void
    LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM set_config('lock_timeout', patience, true);
        IF cardinality(uids) > {LOCKS_AT_MOST} THEN
            PERFORM pg_advisory_xact_lock({WRITE_LOCK});
            RETURN;
        END IF;
        PERFORM pg_advisory_xact_lock_shared({WRITE_LOCK});
        PERFORM pg_advisory_xact_lock(k.key) FROM (
            SELECT DISTINCT hashtextextended(u.uid, {WRITE_LOCK}) AS key FROM unnest(uids) u (uid)
            ORDER BY key
        ) k;
    END $$
    """,
    """
    CREATE FUNCTION lock_new_keys(names text[]) RETURNS void
    LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock(k.key) FROM (
            SELECT DISTINCT hashtextextended('key ' || n.name, 0) AS key
            FROM unnest(names) n (name)
            WHERE NOT EXISTS (SELECT 1 FROM metric_keys m WHERE m.key = n.name)
            ORDER BY key
        ) k;
    END $$
    """,
    """
    CREATE FUNCTION lock_facts(added bigint[], removed bigint[]) RETURNS void
    LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM CASE WHEN k.is_removed
            THEN pg_advisory_xact_lock(k.key) ELSE pg_advisory_xact_lock_shared(k.key) END
        FROM (
            SELECT hashtextextended('facts ' || f.id, 0) AS key,
                bool_or(f.is_removed) AS is_removed
            FROM (
                SELECT unnest(added) AS id, false AS is_removed
                UNION ALL SELECT unnest(removed), true
            ) f GROUP BY key ORDER BY key
        ) k;
    END $$
    """,
    # Changes have the numbers of their transactions, which begin again on another server, and
    # count on within a transaction.
    """
    CREATE FUNCTION change_base() RETURNS bigint
    LANGUAGE sql STABLE AS $$
        SELECT coalesce((SELECT value::bigint FROM store_state WHERE name = 'change_base'), 0)
    $$
    """,
    """
    CREATE FUNCTION next_change() RETURNS bigint
    LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
        place bigint := coalesce(nullif(current_setting('runstore.change', true), ''), '0');
    BEGIN
        PERFORM set_config('runstore.change', (place + 1)::text, true);
        RETURN ((change_base() + pg_current_xact_id()::text::bigint) << 16) + place;
    END $$
    """,
    # All changes below are committed or undone, so that readers can go on from there.
    """
    CREATE FUNCTION first_open_change() RETURNS bigint
    LANGUAGE sql STABLE AS $$
        SELECT (change_base() + pg_snapshot_xmin(pg_current_snapshot())::text::bigint) << 16
    $$
    """,
    # The highest number of an experiment. Its counter may be behind, because it is skipped while
    # another start is changing it.
    """
    CREATE FUNCTION last_number(experiment bigint, counted bigint) RETURNS bigint
    LANGUAGE sql STABLE AS $$
        SELECT greatest(counted, (
            SELECT max(r.run_number) FROM runs r WHERE r.experiment_id = experiment
        ))
    $$
    """,
    # An edit of a run. Its link is verified by `integrity/history.py`.
    """
    CREATE FUNCTION add_event(
        own_id bigint, new_field text, old_value text, new_value text, new_author text,
        new_operation text, now bigint
    ) RETURNS void
    LANGUAGE plpgsql AS $$
    DECLARE
        edited_at bigint;
        content bytea;
        new_link bytea;
    BEGIN
        SELECT e.at + 1 INTO edited_at FROM events e WHERE e.run_id = own_id
        ORDER BY e.id DESC LIMIT 1;
        edited_at := greatest(now, edited_at);
        content := substr(sha256(convert_to(json_build_array(
            edited_at, new_author, new_field, old_value, new_value, new_operation, NULL
        )::text, 'UTF8')), 1, 16);
        SELECT content || substr(sha256(
            coalesce(r.last_link, convert_to(r.uid, 'UTF8')) || content
        ), 1, 16) INTO new_link FROM runs r WHERE r.id = own_id;
        UPDATE runs r SET last_link = new_link, changed = next_change() WHERE r.id = own_id;
        INSERT INTO events (run_id, at, author, field, old, new, operation, link)
        VALUES (
            own_id, edited_at, new_author, new_field, old_value, new_value, new_operation, new_link
        );
    END $$
    """,
    # Edits of tags and notes of runs in one round trip. Repeated, they change nothing.
    """
    CREATE FUNCTION edit_runs(
        patience text, uids text[], or_trashed bigint, tag_keys text[], tag_values text[],
        new_notes text[], new_author text, new_operation text, now bigint
    ) RETURNS TABLE (missing text, is_changed boolean)
    LANGUAGE plpgsql AS $$
    DECLARE
        edited text;
        own_id bigint;
        before text;
        place bigint;
    BEGIN
        PERFORM lock_runs(patience, uids);
        SELECT u.uid INTO missing FROM unnest(uids) WITH ORDINALITY u (uid, place)
        WHERE NOT EXISTS (
            SELECT 1 FROM runs r WHERE r.uid = u.uid AND r.purged_at IS NULL
                AND (or_trashed = 1 OR r.deleted_at IS NULL)
        ) ORDER BY u.place LIMIT 1;
        IF FOUND THEN
            RETURN NEXT;
            RETURN;
        END IF;
        FOREACH edited IN ARRAY uids LOOP
            SELECT r.id INTO own_id FROM runs r WHERE r.uid = edited;
            FOR place IN 1 .. cardinality(tag_keys) LOOP
                SELECT t.value INTO before FROM tags t
                WHERE t.run_id = own_id AND t.key = tag_keys[place];
                CONTINUE WHEN before IS NOT DISTINCT FROM tag_values[place];
                IF tag_values[place] IS NULL THEN
                    DELETE FROM tags t WHERE t.run_id = own_id AND t.key = tag_keys[place];
                ELSE
                    INSERT INTO tags (run_id, key, value)
                    VALUES (own_id, tag_keys[place], tag_values[place])
                    ON CONFLICT (run_id, key) DO UPDATE SET value = excluded.value;
                END IF;
                PERFORM add_event(
                    own_id, 'tags.' || tag_keys[place], before, tag_values[place], new_author,
                    new_operation, now
                );
            END LOOP;
            FOR place IN 1 .. cardinality(new_notes) LOOP
                SELECT r.notes INTO before FROM runs r WHERE r.id = own_id;
                CONTINUE WHEN before IS NOT DISTINCT FROM new_notes[place];
                UPDATE runs r SET notes = new_notes[place] WHERE r.id = own_id;
                PERFORM add_event(
                    own_id, 'notes', before, new_notes[place], new_author, new_operation, now
                );
            END LOOP;
        END LOOP;
        is_changed := EXISTS (SELECT 1 FROM events e WHERE e.operation = new_operation);
        RETURN NEXT;
    END $$
    """,
    # The start of a run in one round trip. Each statement sees what was committed before it.
    """
    CREATE FUNCTION start_run(
        patience text, experiment text, stamp text, now bigint,
        new_uid text, new_status text, new_started_at bigint, new_parent_uid text,
        new_notes text, new_commit_hash text, new_workdir_dirty bigint, new_cli text,
        new_full_store bigint, new_hostname text, new_boot_id text, new_pid bigint,
        new_process_started text, new_facts text, new_params_hash text,
        files text[], names text[], hashes text[], tree_keys text[], trees text[],
        param_sets bigint[], param_keys text[], numbers double precision[], texts text[],
        tag_keys text[], tag_values text[]
    ) RETURNS TABLE (number bigint, made text)
    LANGUAGE plpgsql AS $$
    DECLARE
        own_experiment bigint;
        counted bigint;
        own_id bigint;
    BEGIN
        PERFORM lock_runs(patience, ARRAY[new_uid]);
        -- It was committed, but the connection was lost before the answer.
        SELECT r.run_number, r.reference INTO number, made FROM runs r WHERE r.uid = new_uid;
        IF FOUND THEN
            RETURN NEXT;
            RETURN;
        END IF;
        INSERT INTO experiments (name, last_run_number, created_at)
        SELECT experiment, 0, now WHERE NOT EXISTS (
            SELECT 1 FROM experiments e WHERE e.name = experiment
        )
        ON CONFLICT (name) DO NOTHING;
        SELECT e.id, e.last_run_number INTO own_experiment, counted FROM experiments e
        WHERE e.name = experiment;
        number := last_number(own_experiment, counted) + 1;
        -- A number that another start holds is skipped: if starts waited for it, each would wait
        -- for the disk of the one before.
        LOOP
            IF pg_try_advisory_xact_lock(
                hashtextextended('number ' || own_experiment || ' ' || number, 0)
            ) THEN
                -- A statement of its own, which sees what was committed before the lock was free.
                PERFORM 1 FROM runs r
                WHERE r.experiment_id = own_experiment AND r.run_number = number;
                EXIT WHEN NOT FOUND;
            END IF;
            number := number + 1;
        END LOOP;
        UPDATE experiments e SET last_run_number = number WHERE e.id = (
            SELECT c.id FROM experiments c
            WHERE c.id = own_experiment AND c.last_run_number < number
            FOR NO KEY UPDATE SKIP LOCKED
        );
        made := experiment || '_' || number || '_' || stamp;
        INSERT INTO runs AS r (
            uid, experiment_id, run_number, reference, timestamp, status, started_at,
            last_seen_at, parent_uid, notes, commit_hash, workdir_dirty, cli, full_store,
            hostname, boot_id, pid, process_started, facts, params_hash, changed
        ) VALUES (
            new_uid, own_experiment, number, made, stamp, new_status, new_started_at,
            new_started_at, new_parent_uid, new_notes, new_commit_hash, new_workdir_dirty,
            new_cli, new_full_store, new_hostname, new_boot_id, new_pid, new_process_started,
            new_facts, new_params_hash, next_change()
        ) RETURNING r.id INTO own_id;
        INSERT INTO param_values (tree_key, tree)
        SELECT DISTINCT v.tree_key, v.tree FROM unnest(tree_keys, trees) v (tree_key, tree)
        WHERE v.tree_key IS NOT NULL ORDER BY v.tree_key
        ON CONFLICT DO NOTHING;
        INSERT INTO run_params (run_id, set_index, file, name, hash, tree_key)
        SELECT own_id, v.place - 1, v.file, v.name, v.hash, v.tree_key
        FROM unnest(files, names, hashes, tree_keys)
            WITH ORDINALITY v (file, name, hash, tree_key, place);
        INSERT INTO params (run_id, set_index, key, number, text)
        SELECT own_id, v.set_index, v.key, v.number, v.text
        FROM unnest(param_sets, param_keys, numbers, texts) v (set_index, key, number, text);
        INSERT INTO tags (run_id, key, value)
        SELECT own_id, v.key, v.value FROM unnest(tag_keys, tag_values) v (key, value);
        RETURN NEXT;
    END $$
    """,
)
