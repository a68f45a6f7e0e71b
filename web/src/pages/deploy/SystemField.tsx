import { Radio } from '@mantine/core';
import { Link } from 'react-router';
import { useImages } from '../../api/images';
import type { Offer } from '../../api/offers';
import { useCan } from '../../api/session';
import { fileSize, misfit } from '../images/words';
import type { Draft } from './draft';

interface Props {
  offer: Offer;
  operatingSystem: string;
  imageId: string;
  onChange: (part: Pick<Draft, 'operatingSystem' | 'imageId'>) => void;
  error?: string;
}

/** What is installed: an operating system of the offer, or an image of the account's own. */
export function SystemField({ offer: o, operatingSystem, imageId, onChange, error }: Props) {
  const images = useImages(useCan()('deployments:read')).data ?? [];
  const own = o.capabilities.customImages;
  const choose = (value: string) => {
    const image = images.find((i) => i.id === value);
    onChange(image ? { operatingSystem, imageId: image.id } : { operatingSystem: value, imageId: '' });
  };
  return (
    <Radio.Group label="Operating system" value={imageId || operatingSystem} onChange={choose} error={error}>
      <div className="choices">
        {o.operatingSystems.map((system) => (
          <Radio.Card key={system} value={system} className="choice">
            <Radio.Indicator size="xs" />
            <span>{system}</span>
          </Radio.Card>
        ))}
        {own &&
          images.map((i) => {
            const wrong = misfit(i, o);
            return (
              <Radio.Card key={i.id} value={i.id} className="choice" disabled={wrong !== null}>
                <Radio.Indicator size="xs" disabled={wrong !== null} />
                <span style={{ minWidth: 0 }}>
                  <span className="cell-main">{i.name}</span>
                  <span className="cell-sub">{wrong ?? `Your image · ${i.format} · ${fileSize(i.sizeBytes)}`}</span>
                </span>
              </Radio.Card>
            );
          })}
      </div>
      <OwnImages possible={own} any={images.length > 0} provider={o.provider} />
    </Radio.Group>
  );
}

/** Why none of the account's own images can be chosen, where that is so. */
function OwnImages({ possible, any, provider }: { possible: boolean; any: boolean; provider: string }) {
  if (possible && any) return null;
  if (!possible && !any) return null; // nothing is missed
  return (
    <div className="small dim" style={{ marginTop: 8 }}>
      {possible ? (
        <>
          Machines of this offer can be installed with a disk image of your own.{' '}
          <Link className="link" to="/images?new=1">
            Add image
          </Link>
        </>
      ) : (
        `Your own images cannot be chosen: ${provider} does not install them on this offer.`
      )}
    </div>
  );
}
