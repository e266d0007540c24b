-- Words: INT64, TEXT, BYTES; a comment that begins with "sqlite" is read by that engine only.
-- Times are milliseconds since 1970 of the Clock port. JSON is opaque text.

CREATE TABLE setting (
  name TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
) /*sqlite STRICT, WITHOUT ROWID */;

CREATE TABLE counter (
  name TEXT NOT NULL PRIMARY KEY,
  value INT64 NOT NULL
) /*sqlite STRICT, WITHOUT ROWID */;
INSERT INTO counter (name, value) VALUES ('visible', 0);
INSERT INTO counter (name, value) VALUES ('uidvalidity', 0);

-- What people name: identities, keys, zones, each whole, secrets inside sealed.
CREATE TABLE resource (
  kind TEXT NOT NULL,
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (kind, account, region, name)
) /*sqlite STRICT, WITHOUT ROWID */;
CREATE INDEX resource_name ON resource (kind, name);

-- A body is found by the hash of its bytes: inline up to 64 KiB, else in a file named by place.
CREATE TABLE blob (
  hash BYTES NOT NULL PRIMARY KEY,
  size INT64 NOT NULL,
  place TEXT NOT NULL,
  data BYTES,
  refs INT64 NOT NULL
) /*sqlite STRICT */;

CREATE TABLE outbound (
  id INT64 NOT NULL PRIMARY KEY,
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  message_id TEXT NOT NULL,
  door TEXT NOT NULL,
  reverse_path TEXT NOT NULL,
  mail_from TEXT NOT NULL,
  header_from TEXT NOT NULL,
  subject TEXT NOT NULL,
  body BYTES NOT NULL,
  size INT64 NOT NULL,
  signers TEXT NOT NULL,
  accepted_at INT64 NOT NULL,
  expires_at INT64 NOT NULL,
  configuration_set TEXT NOT NULL,
  tags TEXT NOT NULL,
  demo INT64 NOT NULL
) /*sqlite STRICT */;
CREATE UNIQUE INDEX outbound_message_id ON outbound (message_id);

-- due is NULL once settled; a lease pushes it forward, so an expired lease is a due row.
CREATE TABLE recipient (
  id INT64 NOT NULL PRIMARY KEY,
  message INT64 NOT NULL,
  number INT64 NOT NULL,
  address TEXT NOT NULL,
  destination TEXT NOT NULL,
  due INT64,
  lease INT64 NOT NULL,
  attempts INT64 NOT NULL,
  state TEXT NOT NULL,
  reply TEXT NOT NULL
) /*sqlite STRICT */;
CREATE INDEX recipient_message ON recipient (message, number);
CREATE INDEX recipient_due ON recipient (due) WHERE due IS NOT NULL;
CREATE INDEX recipient_destination ON recipient (destination, due) WHERE due IS NOT NULL;

CREATE TABLE trace (
  message_id TEXT NOT NULL,
  at INT64 NOT NULL,
  body TEXT NOT NULL
) /*sqlite STRICT */;
CREATE INDEX trace_message ON trace (message_id, at);

-- Recipients that count in the daily quota, by minute.
CREATE TABLE counted (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  minute INT64 NOT NULL,
  recipients INT64 NOT NULL,
  PRIMARY KEY (account, region, minute)
) /*sqlite STRICT, WITHOUT ROWID */;

-- GetSendStatistics: slots of 15 minutes.
CREATE TABLE statistic (
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  slot INT64 NOT NULL,
  attempts INT64 NOT NULL,
  bounces INT64 NOT NULL,
  complaints INT64 NOT NULL,
  rejects INT64 NOT NULL,
  PRIMARY KEY (account, region, slot)
) /*sqlite STRICT, WITHOUT ROWID */;

-- Mailboxes. One modseq counter a user; lock order user, mailboxes by id, inserts.
CREATE TABLE mail_user (
  id INT64 NOT NULL PRIMARY KEY,
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  kind TEXT NOT NULL,
  address TEXT NOT NULL,
  domain TEXT NOT NULL,
  password_hash TEXT NOT NULL,
  created_at INT64 NOT NULL,
  modseq INT64 NOT NULL,
  min_modseq INT64 NOT NULL,
  indexed_modseq INT64 NOT NULL,
  used_bytes INT64 NOT NULL,
  used_count INT64 NOT NULL,
  quota INT64 NOT NULL,
  demo INT64 NOT NULL
) /*sqlite STRICT */;
CREATE UNIQUE INDEX mail_user_address ON mail_user (kind, address);
CREATE INDEX mail_user_domain ON mail_user (kind, domain, id);

CREATE TABLE mailbox (
  id INT64 NOT NULL PRIMARY KEY,
  mail_user INT64 NOT NULL,
  parent INT64,
  name TEXT NOT NULL,
  uidvalidity INT64 NOT NULL,
  uidnext INT64 NOT NULL,
  recent_uid INT64 NOT NULL,
  modseq INT64 NOT NULL,
  createseq INT64 NOT NULL,
  special_use TEXT NOT NULL,
  subscribed INT64 NOT NULL,
  total INT64 NOT NULL,
  unseen INT64 NOT NULL,
  deleted INT64 NOT NULL,
  bytes INT64 NOT NULL,
  objectid TEXT NOT NULL,
  expunged_at INT64 NOT NULL
) /*sqlite STRICT */;
CREATE UNIQUE INDEX mailbox_name ON mailbox (mail_user, name);

-- Immutable, one per arrival. visible is NULL until a sender that is ours has settled.
CREATE TABLE email (
  id INT64 NOT NULL PRIMARY KEY,
  mail_user INT64 NOT NULL,
  visible INT64,
  arrival TEXT NOT NULL,
  message_id TEXT NOT NULL,
  recipient TEXT NOT NULL,
  reverse_path TEXT NOT NULL,
  header_from TEXT NOT NULL,
  subject TEXT NOT NULL,
  blob_hash BYTES NOT NULL,
  prefix BYTES NOT NULL,
  size INT64 NOT NULL,
  received INT64 NOT NULL,
  msgid TEXT NOT NULL,
  authentication TEXT NOT NULL,
  headers TEXT NOT NULL,
  subject_base TEXT,
  sort_keys TEXT,
  thread_id INT64,
  envelope BYTES,
  bodystructure BYTES,
  parts TEXT,
  preview TEXT,
  has_attachment INT64
) /*sqlite STRICT */;
CREATE UNIQUE INDEX email_visible ON email (visible) WHERE visible IS NOT NULL;
CREATE INDEX email_hidden ON email (id) WHERE visible IS NULL;
CREATE INDEX email_arrival ON email (arrival);
CREATE INDEX email_user ON email (mail_user, visible);
CREATE INDEX email_message_id ON email (message_id);

CREATE TABLE message (
  mailbox INT64 NOT NULL,
  uid INT64 NOT NULL,
  email INT64 NOT NULL,
  flags INT64 NOT NULL,
  keywords TEXT NOT NULL,
  modseq INT64 NOT NULL,
  createseq INT64 NOT NULL,
  savedate INT64 NOT NULL,
  internaldate INT64 NOT NULL,
  size INT64 NOT NULL,
  PRIMARY KEY (mailbox, uid)
) /*sqlite STRICT, WITHOUT ROWID */;
CREATE INDEX message_modseq ON message (mailbox, modseq);
CREATE INDEX message_email ON message (email);

CREATE TABLE tombstone (
  mailbox INT64 NOT NULL,
  modseq INT64 NOT NULL,
  uid INT64 NOT NULL,
  PRIMARY KEY (mailbox, modseq, uid)
) /*sqlite STRICT, WITHOUT ROWID */;
