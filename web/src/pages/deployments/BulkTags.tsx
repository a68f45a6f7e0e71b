import { TagsInput } from '@mantine/core';
import { useState } from 'react';
import { BulkDialog, deployments } from './BulkDialog';

interface Props {
  ids: string[];
  action: 'addTags' | 'removeTags';
  /** The tags that can be chosen; others can be typed. */
  known: string[];
  onClose: () => void;
  onDone: () => void;
}

/** Adds tags to many deployments, or removes them. */
export function BulkTags({ ids, action, known, onClose, onDone }: Props) {
  const [tags, setTags] = useState<string[]>([]);
  const add = action === 'addTags';
  return (
    <BulkDialog
      ids={ids}
      request={tags.length > 0 ? { action, tags } : null}
      title={add ? 'Add tags' : 'Remove tags'}
      command={add ? 'Tag' : 'Untag'}
      will={() => (add ? 'Will be tagged.' : 'Will be untagged.')}
      done={add ? 'tagged' : 'untagged'}
      onClose={onClose}
      onDone={onDone}
    >
      <TagsInput
        label="Tags"
        description={`${add ? 'Added to' : 'Removed from'} ${deployments(ids.length)}. Other tags stay.`}
        value={tags}
        onChange={setTags}
        data={known}
        maxTags={20}
        data-autofocus
      />
    </BulkDialog>
  );
}
