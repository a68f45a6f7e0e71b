import { Skeleton } from '@mantine/core';

/** A placeholder while a page loads. */
export function PageSkeleton() {
  return (
    <div aria-busy="true">
      <output className="dim" style={{ position: 'absolute', left: -9999 }}>
        Loading
      </output>
      <Skeleton height={28} width={180} mb={20} />
      <Skeleton height={44} mb={10} />
      <Skeleton height={320} />
    </div>
  );
}
