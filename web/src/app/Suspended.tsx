import { useMe } from '../api/session';
import { localTime } from '../parts/time';

/** The banner of a suspended account: why, and what it can still do. */
export function Suspended() {
  const suspension = useMe().data?.account.suspension;
  if (!suspension) return null;
  return (
    <div className="banner" role="alert">
      <span>
        <b>This account has been suspended since {localTime(suspension.since)}.</b> Reason: {suspension.reason} Nothing
        new can be started. You can still view and terminate what exists. Contact the operator.
      </span>
    </div>
  );
}
