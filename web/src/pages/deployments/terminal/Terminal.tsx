import { useState } from 'react';
import type { Deployment } from '../../../api/deployments';
import { dropKey, heldKey, holdKey } from '../../../api/ssh';
import { KeyAsk } from './KeyAsk';
import { Screen } from './Screen';

/** A shell on the machine, in the page. The key is asked for once in a tab. */
export default function Terminal({ of: d }: { of: Deployment }) {
  const [key, setKey] = useState(() => heldKey(d.id, ...d.sshKeys.map((k) => k.fingerprint)));
  const [refused, setRefused] = useState<{ code: string; message: string } | null>(null);
  if (!key)
    return (
      <KeyAsk
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
      onOpen={() => holdKey(d.id, key)}
      onRefused={(error) => {
        for (const name of [d.id, ...d.sshKeys.map((k) => k.fingerprint)]) dropKey(name);
        setRefused(error);
        setKey(undefined);
      }}
    />
  );
}
