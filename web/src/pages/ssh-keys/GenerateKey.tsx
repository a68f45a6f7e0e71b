import { Button } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { loadSSH } from '../../api/ssh';
import { ErrorBox } from '../../parts/ErrorBox';

/** Generates a key pair in the page. The private key stays there. */
export function GenerateKey({ onKey }: { onKey: (publicKey: string, privateKey: string) => void }) {
  const generate = useMutation({
    mutationFn: async () => (await loadSSH()).generateKey(),
    onSuccess: (k) => onKey(k.publicKey, k.privateKey),
  });
  return (
    <div className="stack">
      <div>
        <Button size="compact-md" variant="default" loading={generate.isPending} onClick={() => generate.mutate()}>
          Generate key in this browser
        </Button>
      </div>
      <ErrorBox error={generate.error} />
    </div>
  );
}
