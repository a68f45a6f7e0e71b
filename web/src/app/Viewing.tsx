import { Button } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useEffect } from 'react';
import { useNavigate } from 'react-router';
import { serverNow } from '../api/clock';
import { startOver } from '../api/queries';
import { endView, useMe } from '../api/session';
import { localTime } from '../parts/time';
import { toast } from '../parts/toast';

/** The banner while an operator views an account read-only. */
export function Viewing() {
  const view = useMe().data?.view;
  const navigate = useNavigate();
  const leave = useMutation({
    mutationFn: endView,
    onSuccess: () => navigate('/operator'),
    onError: () => toast('Could not leave the view: the server did not respond. Try again.'),
  });
  const endsAt = view?.endsAt;
  useEffect(() => {
    if (!endsAt) return;
    const timer = setTimeout(() => void startOver(), Math.max(0, Date.parse(endsAt) - serverNow()) + 1000);
    return () => clearTimeout(timer);
  }, [endsAt]);
  if (!view) return null;
  return (
    <section className="banner" aria-label="Read-only view">
      <span>
        <b>Viewing {view.accountName} read-only</b> until {localTime(view.endsAt)}. You cannot change anything here.
      </span>
      <Button size="compact-sm" variant="default" loading={leave.isPending} onClick={() => leave.mutate()}>
        Leave view
      </Button>
    </section>
  );
}
