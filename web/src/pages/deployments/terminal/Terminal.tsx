import { useState } from 'react';
import type { Deployment } from '../../../api/deployments';
import { dropKey, keepKey, keptKey } from '../../../api/ssh';
import { PrivateKeyForm } from './PrivateKeyForm';
import { Screen } from './Screen';

/** A shell on the machine. The key is needed once in a tab. */
export default function Terminal({ of: d }: { of: Deployment }) {
  const [key, setKey] = useState(() => keptKey(d.id, ...d.sshKeys.map((k) => k.fingerprint)));
  const [refused, setRefused] = useState<{ code: string; message: string } | null>(null);
  if (!key)
    return (
      <PrivateKeyForm
        of={d}
        refused={refused}
        onKey={(k) => {
          setRefused(null);
          setKey(k);
        }}
      />
    );
  return (
    <Screen
      of={d}
      secret={key}
      onOpen={() => keepKey(d.id, key)}
      onRefused={(error) => {
        for (const name of [d.id, ...d.sshKeys.map((k) => k.fingerprint)]) dropKey(name);
        setRefused(error);
        setKey(undefined);
      }}
    />
  );
}
