"""Has sushy, the Redfish client of OpenStack Ironic, do a whole cycle: python3 cycle.py URL basic|session IMAGE"""
import sys
import time

import sushy
from sushy import auth

url, kind, image = sys.argv[1:]
signs_in = {"basic": auth.BasicAuth, "session": auth.SessionAuth}[kind]
bmc = sushy.Sushy(url, auth=signs_in("admin", "secret"), verify=False)
system = bmc.get_system("/redfish/v1/Systems/1")
manager = system.managers[0]
assert system.manufacturer == "Billet" and system.power_state == sushy.PowerState.OFF, system.power_state
assert system.secure_boot.enabled is False
assert system.ethernet_interfaces.summary == {"52:54:00:AA:00:01": sushy.STATE_ENABLED}, system.ethernet_interfaces.summary


def cd():
    for media in manager.virtual_media.get_members():
        media.refresh(force=True)
        if sushy.VIRTUAL_MEDIA_CD in media.media_types:
            return media
    raise AssertionError("no virtual CD")


def power(want):
    for _ in range(10):
        system.refresh(force=True)
        if system.power_state == want:
            return
        time.sleep(0.01)
    raise AssertionError(system.power_state)


cd().insert_media(image)
assert cd().inserted and cd().image == image
system.set_system_boot_options(
    target=sushy.BOOT_SOURCE_TARGET_CD, enabled=sushy.BOOT_SOURCE_ENABLED_ONCE, mode=sushy.BOOT_SOURCE_MODE_UEFI)
system.refresh(force=True)
assert system.boot.target == sushy.BOOT_SOURCE_TARGET_CD, system.boot
system.reset_system(sushy.RESET_TYPE_ON)
power(sushy.PowerState.ON)
system.reset_system(sushy.RESET_TYPE_FORCE_RESTART)
cd().eject_media()
assert not cd().inserted
system.reset_system(sushy.RESET_TYPE_FORCE_OFF)
power(sushy.PowerState.OFF)
