import { useState, type SyntheticEvent } from "react";
import { useNavigate, useParams } from "react-router";

import { useProviders } from "../api/me";
import type { Provider } from "../api/types";
import { Button } from "../kit/Button";
import { Drawer } from "../kit/Drawer";
import { Check, TextField } from "../kit/Fields";
import { Gone } from "../kit/Gone";
import { Note, ProblemNote } from "../kit/ProblemNote";
import { ProviderMark } from "../kit/ProviderMark";
import { RowsWaiting } from "../kit/Waiting";
import { useConnectWithFields, useStartConnection } from "./queries";

export function ConnectDrawer() {
  const { provider: name } = useParams();
  const navigate = useNavigate();
  const query = useProviders();
  const provider = query.data?.items.find((item) => item.name === name && item.connect && item.configured);
  const close = () => void navigate("/connections");
  if (!provider) {
    return (
      <Drawer title="Connect an account" onClose={close}>
        {query.error ? (
          <ProblemNote error={query.error} onRetry={() => void query.refetch()} />
        ) : query.isPending ? (
          <RowsWaiting what="the provider" rows={2} />
        ) : (
          <Gone what="provider" />
        )}
      </Drawer>
    );
  }
  const Form = provider.auth === "oauth2" ? Consent : Credentials;
  return (
    <Drawer title={`Connect ${provider.title}`} mark={<ProviderMark icon={provider.icon} title={provider.title} boxed />} onClose={close}>
      {provider.unverified && (
        <Note tone="amber">This entry of the catalogue has not been checked against {provider.title} itself. It may need adjusting.</Note>
      )}
      <Form provider={provider} />
    </Drawer>
  );
}

/** The scopes that will be asked for, chosen before the provider asks about them. */
function Consent({ provider }: { provider: Provider }) {
  const { name, title, scopes } = provider;
  const [chosen, setChosen] = useState<readonly string[]>(provider.default_scopes);
  const start = useStartConnection();
  function submit(event: SyntheticEvent): void {
    event.preventDefault();
    start.mutate({ provider: name, scopes: [...chosen] });
  }
  function choose(scope: string, yes: boolean): void {
    setChosen(yes ? [...chosen, scope] : chosen.filter((other) => other !== scope));
  }
  return (
    <form className="form" onSubmit={submit}>
      <p className="muted">
        Choose what agents could ever do here. {title} shows you the same list next, and you can say no there. Each agent still needs a
        grant from you.
      </p>
      {scopes.length > 0 && (
        <fieldset className="field">
          <legend>What to allow</legend>
          <div className="checks">
            {scopes.map((scope) => (
              <Check key={scope.name} checked={chosen.includes(scope.name)} onChange={(yes) => choose(scope.name, yes)}>
                <span className="scope-words">
                  {scope.title}
                  <code className="faint">{scope.name}</code>
                </span>
              </Check>
            ))}
          </div>
        </fieldset>
      )}
      {start.error && <ProblemNote error={start.error} />}
      <Button type="submit" look="primary" isPending={start.isPending || start.isSuccess}>
        Continue to {title}
      </Button>
    </form>
  );
}

/** A key or a password, sent once and kept sealed; it is never shown again, not even here. */
function Credentials({ provider }: { provider: Provider }) {
  const { name, fields, docs_url: docs } = provider;
  const [values, setValues] = useState<Record<string, string>>({});
  const navigate = useNavigate();
  const connect = useConnectWithFields();
  const complete = fields.every((field) => (values[field.name] ?? "").trim() !== "");
  function submit(event: SyntheticEvent): void {
    event.preventDefault();
    connect.mutate(
      { provider: name, fields: Object.fromEntries(fields.map((field) => [field.name, (values[field.name] ?? "").trim()])) },
      { onSuccess: ({ id }) => void navigate(`/connections/${id}`, { replace: true }) },
    );
  }
  return (
    <form className="form" onSubmit={submit} autoComplete="off">
      <p className="muted">
        Keybearer seals what you enter and never shows it again. Agents act through it without seeing it.
        {docs !== null && (
          <>
            {" "}
            <a href={docs} target="_blank" rel="noreferrer">
              Where to find it
            </a>
          </>
        )}
      </p>
      {fields.map((field) => (
        <TextField
          key={field.name}
          label={field.label}
          type={field.secret ? "password" : "text"}
          required
          {...(field.secret && { autoComplete: "new-password" })}
          {...(field.placeholder !== null && { placeholder: field.placeholder })}
          value={values[field.name] ?? ""}
          onChange={(value) => setValues({ ...values, [field.name]: value })}
        />
      ))}
      {connect.error && <ProblemNote error={connect.error} />}
      <Button type="submit" look="primary" isDisabled={!complete} isPending={connect.isPending}>
        Seal and connect
      </Button>
    </form>
  );
}
