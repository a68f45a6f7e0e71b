// Device authorizations: programs that request an API key with a user code.

import { useMutation, useQuery } from '@tanstack/react-query';
import { api, data, type Schema } from './client';
import { key, queryClient } from './queries';

export type DeviceAuthorization = Schema['DeviceAuthorization'];

/** The pending authorization with that user code. It is fetched once: a wrong code counts as a guess, and a decided one is gone. */
export function useDeviceAuthorization(code: string) {
  return useQuery({
    queryKey: [...key.deviceAuthorization, code],
    queryFn: () => data(api.POST('/api/v1/account/device-authorizations/lookup', { body: { userCode: code } })),
    enabled: code !== '',
    retry: false,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
  });
}

export function useApproveDevice() {
  return useMutation({
    mutationFn: (body: Schema['ApproveDeviceAuthorization']) =>
      data(api.POST('/api/v1/account/device-authorizations/approve', { body })),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: key.apiKeys }),
  });
}

export function useDenyDevice() {
  return useMutation({
    mutationFn: (userCode: string) =>
      data(api.POST('/api/v1/account/device-authorizations/deny', { body: { userCode } })),
  });
}
