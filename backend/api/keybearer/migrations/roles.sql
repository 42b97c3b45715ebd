-- Roles of rule R1, made once a cluster by whoever may create roles; repeats safely.
-- keybearer_owner owns the schema, keybearer_app has the data rights and owns nothing, keybearer_system additionally
-- sees every tenant's rows where background work needs it, and keybearer_backup reads all rows and changes none.
DO $$
DECLARE
  wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['keybearer_owner', 'keybearer_app', 'keybearer_system', 'keybearer_backup'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
      EXECUTE format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOBYPASSRLS', wanted);
    END IF;
  END LOOP;
  FOREACH wanted IN ARRAY ARRAY['keybearer_app_a', 'keybearer_app_b'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
      EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOBYPASSRLS', wanted);
    END IF;
    EXECUTE format('GRANT keybearer_app TO %I WITH INHERIT TRUE, SET TRUE', wanted);
    EXECUTE format('GRANT keybearer_system TO %I WITH INHERIT FALSE, SET TRUE', wanted);
  END LOOP;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'keybearer_migrator') THEN
    CREATE ROLE keybearer_migrator LOGIN NOSUPERUSER NOBYPASSRLS;
  END IF;
  GRANT keybearer_owner TO keybearer_migrator WITH INHERIT TRUE, SET TRUE;
  GRANT keybearer_backup TO keybearer_migrator WITH INHERIT FALSE, SET TRUE;
  -- So that it can give the idle one of the two logins a new password, and end what is left of the other (rule R9).
  ALTER ROLE keybearer_migrator CREATEROLE;
  GRANT keybearer_app_a, keybearer_app_b TO keybearer_migrator WITH ADMIN TRUE, INHERIT TRUE, SET FALSE;
  -- A restore drill makes a database and drops it again. Who may not give that right leaves it to somebody else.
  IF (SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    ALTER ROLE keybearer_migrator CREATEDB;
  END IF;
END
$$;
GRANT keybearer_app TO keybearer_system;
