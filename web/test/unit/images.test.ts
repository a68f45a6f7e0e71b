import { describe, expect, it } from 'vitest';
import type { Offer } from '../../src/api/offers';
import type { Draft } from '../../src/pages/deploy/draft';
import { bodyOf } from '../../src/pages/deploy/request';
import { fileSize, misfit } from '../../src/pages/images/words';

describe('the request of a deployment with an image', () => {
  const offer = (id: string, system: string) =>
    ({ id, operatingSystems: [system], hourlyPrice: 2 }) as unknown as Offer;
  const draft = { name: 'train', operatingSystem: 'Ubuntu 24.04', imageId: 'img_1', sshKeyIds: ['ssh_1'] };
  const rest = { volumeIds: [], cloudInit: '', tags: [], project: '', end: '', maxSpend: '', maxRuntimeMinutes: '' };
  const whole = { ...draft, ...rest, fallbackIds: [], quoteId: '' } as Draft;

  it('names the image and no operating system', () => {
    const body = bodyOf(offer('off_1', 'Ubuntu 24.04'), whole, 0);
    expect(body).toMatchObject({ offerId: 'off_1', imageId: 'img_1' });
    expect(body).not.toHaveProperty('operatingSystem');
  });

  it('names none of an offer that is tried next either', () => {
    const body = bodyOf(offer('off_1', 'Ubuntu 24.04'), whole, 0, [offer('off_2', 'Debian 12')]);
    expect(body.candidates).toEqual([{ offerId: 'off_1' }, { offerId: 'off_2' }]);
  });

  it('names the operating system without an image', () => {
    const body = bodyOf(offer('off_1', 'Ubuntu 24.04'), { ...whole, imageId: '' }, 0, [offer('off_2', 'Debian 12')]);
    expect(body).toMatchObject({ operatingSystem: 'Ubuntu 24.04' });
    expect(body).not.toHaveProperty('imageId');
    expect(body.candidates).toEqual([{ offerId: 'off_1' }, { offerId: 'off_2', operatingSystem: 'Debian 12' }]);
  });
});

describe('images', () => {
  it('have sizes as files have', () => {
    expect(fileSize(6)).toBe('6 bytes');
    expect(fileSize(1_500)).toBe('1.5 kB');
    expect(fileSize(618_925_568)).toBe('619 MB');
    expect(fileSize(12_500_000_000)).toBe('12.5 GB');
  });

  it('fit on drives of at least their size, and on drives of an unknown one', () => {
    expect(misfit({ sizeBytes: 2_000_000_000 }, { storageGb: 2 })).toBeNull();
    expect(misfit({ sizeBytes: 2_000_000_001 }, { storageGb: 2 })).toBe('Larger than the 2 GB of local storage');
    expect(misfit({ sizeBytes: 2_000_000_001 }, { storageGb: 0 })).toBeNull();
  });
});
