import { Button } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { loadSSH } from '../../api/ssh';
import { ErrorBox } from '../../parts/ErrorBox';

/** Makes a key pair in the page, for who has none at hand; its private half stays here. */
export function Make({ onMade }: { onMade: (publicKey: string, privateKey: string) => void }) {
  const make = useMutation({
    mutationFn: async () => (await loadSSH()).generateKey(),
    onSuccess: (k) => onMade(k.publicKey, k.privateKey),
  });
  return (
    <div className="stack">
      <div>
        <Button size="compact-md" variant="default" loading={make.isPending} onClick={() => make.mutate()}>
          Make a key in this browser
        </Button>
      </div>
      <ErrorBox error={make.error} />
    </div>
  );
}
