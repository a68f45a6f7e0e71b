package account

import (
	"strings"
	"time"
)

// DeviceLength is how long a browser keeps what it is known by.
const DeviceLength = 180 * 24 * time.Hour

const devicePurpose = "device"

// newDevice returns what a browser is known by from now on, for the user with that email address, who has
// just signed in on it. It lets nobody in: it only has failures of others not count against that browser.
func (s *Service) newDevice(email string) (string, error) {
	name, err := randomText(s.c.Rand)
	if err != nil {
		return "", err
	}
	return s.c.Secrets.Seal(devicePurpose, []byte(name+" "+email)), nil
}

// device returns the name of a device and whose it is, "" for what newDevice has not made.
func (s *Service) device(token string) (name, email string) {
	if token == "" || len(token) > maxDevice {
		return "", ""
	}
	plain, err := s.c.Secrets.Open(devicePurpose, token)
	if err != nil {
		return "", ""
	}
	name, email, _ = strings.Cut(string(plain), " ")
	return name, email
}

// maxDevice is the most bytes of what newDevice returns: the longest email address, the name and the seal.
const maxDevice = 1024

// DeviceUser returns a name for the user who has signed in on the device that the token stands for: the same for all
// of their devices, and not their email address; "" where the token stands for no device.
func (s *Service) DeviceUser(token string) string {
	name, email := s.device(token)
	if name == "" {
		return ""
	}
	return hashOf("device of " + email)[:32]
}
