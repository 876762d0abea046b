PRAGMA application_id=0x676E7469; PRAGMA user_version=1;
CREATE TABLE cluster_object (kind TEXT NOT NULL, uuid TEXT NOT NULL, name TEXT NOT NULL,
    data TEXT NOT NULL, PRIMARY KEY (kind, uuid), UNIQUE (kind, name)) WITHOUT ROWID;
CREATE TABLE cluster_value (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE job_job (id INTEGER PRIMARY KEY AUTOINCREMENT, status TEXT NOT NULL,
    received_us INTEGER NOT NULL, start_us INTEGER, end_us INTEGER,
    archived INTEGER NOT NULL DEFAULT 0, user TEXT, request_id TEXT, idempotency_key TEXT,
    request_digest TEXT);
CREATE INDEX job_job_unarchived ON job_job (id) WHERE archived = 0;
CREATE INDEX job_job_live ON job_job (id) WHERE status NOT IN ('canceled', 'success', 'error');
CREATE UNIQUE INDEX job_job_key ON job_job (user, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE TABLE job_op (job_id INTEGER NOT NULL, idx INTEGER NOT NULL, op TEXT NOT NULL,
    summary TEXT NOT NULL, status TEXT NOT NULL, priority INTEGER NOT NULL, result TEXT,
    start_us INTEGER, exec_us INTEGER, end_us INTEGER, PRIMARY KEY (job_id, idx)) WITHOUT ROWID;
CREATE TABLE job_log (job_id INTEGER NOT NULL, serial INTEGER NOT NULL, idx INTEGER NOT NULL,
    time_us INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (job_id, serial)) WITHOUT ROWID;
INSERT INTO cluster_value VALUES ('queue.drained', 'true');
INSERT INTO job_job (status, received_us, end_us) VALUES ('success', 1000000, 2000000);
INSERT INTO job_job (status, received_us) VALUES ('queued', 3000000);
INSERT INTO job_op VALUES (1, 0, '{"OP_ID": "OP_TEST_DELAY"}', 'TEST_DELAY', 'success', 0,
    '7', NULL, NULL, 2000000);
INSERT INTO job_op VALUES (2, 0, '{"OP_ID": "OP_TEST_DELAY", "duration": 1.0}', 'TEST_DELAY',
    'queued', 0, NULL, NULL, NULL, NULL);
INSERT INTO job_log VALUES (1, 1, 0, 1500000, 'message', '"hello"');
