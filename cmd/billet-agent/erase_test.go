//go:build linux

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/rackagent"
)

// controller scripts an NVMe controller.
type controller struct {
	sanitize          uint32 // capabilities
	commands          uint16 // optional admin commands
	crypto            bool   // Format can erase cryptographically
	active, allocated []uint32
	states            []uint16 // of the sanitize log, the last one again and again
	refuse            map[uint8]error
	sent              []nvmeCommand
}

func (c *controller) admin(command nvmeCommand, answer []byte) error {
	c.sent = append(c.sent, command)
	if err := c.refuse[command.opcode]; err != nil {
		return err
	}
	switch {
	case command.opcode == opIdentify && command.cdw10 == idController:
		binary.LittleEndian.PutUint32(answer[328:], c.sanitize)
		binary.LittleEndian.PutUint16(answer[256:], c.commands)
		if c.crypto {
			answer[524] = 4
		}
	case command.opcode == opIdentify && command.cdw10 == idNamespace:
		answer[26], answer[29] = 0x31, 0x09 // format 17 with metadata at the end, protection type 1 at the start
	case command.opcode == opIdentify:
		list := c.active
		if command.cdw10 == idAllocated {
			list = c.allocated
		}
		for i, id := range list {
			binary.LittleEndian.PutUint32(answer[4*i:], id)
		}
	case command.opcode == opGetLog:
		binary.LittleEndian.PutUint16(answer[2:], c.states[0])
		if len(c.states) > 1 {
			c.states = c.states[1:]
		}
	}
	return nil
}

// count returns how often a command was sent.
func (c *controller) count(opcode uint8) int {
	n := 0
	for _, s := range c.sent {
		if s.opcode == opcode {
			n++
		}
	}
	return n
}

func noWait(ctx context.Context, _ time.Duration) error { return ctx.Err() }

func TestNVMe_Methods(t *testing.T) {
	for name, c := range map[string]struct {
		controller controller
		want       string
	}{
		"all": {controller{sanitize: 7, commands: 2}, "[sanitize_crypto sanitize_block nvme_format]"},
		"format only": {controller{commands: 2 | 8, active: []uint32{1, 2}, allocated: []uint32{1, 2}},
			"[nvme_format]"},
		"none": {controller{}, "[]"},
		"hidden": {controller{commands: 2 | 8, active: []uint32{1}, allocated: []uint32{1, 7}},
			"1 namespaces of the drive are not attached"},
		"hidden, sanitize": {controller{sanitize: 1, commands: 2 | 8, allocated: []uint32{7}}, "[sanitize_crypto]"},
		"refuses": {controller{refuse: map[uint8]error{opIdentify: errors.New("status 0x2")}},
			"does not identify itself: status 0x2"},
	} {
		methods, err := nvme{admin: c.controller.admin}.methods()
		got := fmt.Sprint(methods)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestNVMe_Sanitize(t *testing.T) {
	for name, c := range map[string]struct {
		states []uint16
		refuse map[uint8]error
		want   string
		sent   int // sanitize commands
	}{
		"at once": {[]uint16{0, sanitizeDone}, nil, "", 1},
		"after a while": {[]uint16{sanitizeDone, sanitizeRunning, sanitizeRunning, sanitizeDone2}, nil, "",
			1},
		"still running from then": {[]uint16{sanitizeRunning, sanitizeRunning, sanitizeDone, sanitizeDone}, nil, "", 1},
		"failed before":           {[]uint16{sanitizeFailed, sanitizeDone}, nil, "", 2},
		"fails":                   {[]uint16{0, sanitizeRunning, sanitizeFailed}, nil, "sanitize operation failed", 1},
		"never starts":            {[]uint16{0}, nil, "sanitize operation failed", 1},
		"never ends":              {[]uint16{0, sanitizeRunning}, nil, "did not end", 1},
		"refused": {[]uint16{0}, map[uint8]error{opSanitize: errors.New("status 0x2")}, "status 0x2",
			1},
		"no log": {[]uint16{0}, map[uint8]error{opGetLog: errors.New("status 0x9")}, "status 0x9", 0},
	} {
		s := controller{states: c.states, refuse: c.refuse}
		err := nvme{admin: s.admin}.sanitize(t.Context(), actCryptoErase, noWait)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) ||
			s.count(opSanitize) != c.sent {
			t.Errorf("%s: %v after %d commands", name, err, s.count(opSanitize))
		}
	}
}

func TestNVMe_FormatKeepsTheBlocks(t *testing.T) {
	for _, crypto := range []bool{false, true} {
		s := controller{commands: 2, crypto: crypto, active: []uint32{1, 5}}
		if err := (nvme{admin: s.admin}).erase(t.Context(), rackagent.NVMeFormat); err != nil {
			t.Fatal(err)
		}
		setting := uint32(1)
		if crypto {
			setting = 2
		}
		var formatted []uint32
		for _, c := range s.sent {
			if c.opcode != opFormat {
				continue
			}
			formatted = append(formatted, c.namespace)
			if want := setting<<9 | 1 | 1<<4 | 1<<5 | 1<<8 | 1<<12; c.cdw10 != want {
				t.Errorf("crypto %v: %#x, want %#x", crypto, c.cdw10, want)
			}
		}
		if !slices.Equal(formatted, s.active) {
			t.Errorf("formatted %v", formatted)
		}
	}
	s := controller{active: []uint32{1}, refuse: map[uint8]error{opFormat: errors.New("status 0x10a")}}
	err := nvme{admin: s.admin}.format()
	if err == nil || !strings.Contains(err.Error(), "namespace 1: status 0x10a") {
		t.Error(err)
	}
}

func TestATA_Erase(t *testing.T) {
	type step struct {
		opcode byte
		flags  byte // first byte of the data
	}
	for name, c := range map[string]struct {
		before, after uint16 // security words
		refuse        byte
		want          string
		steps         []step
	}{
		"plain": {securitySupported, securitySupported, 0, "", []step{{ataSetPassword, 0}, {ataErasePrepare, 0},
			{ataErase, 0}}},
		"enhanced": {securitySupported | securityEnhanced, 1, 0, "", []step{{ataSetPassword, 0}, {ataErasePrepare, 0},
			{ataErase, 2}}},
		"frozen": {securitySupported | securityFrozen, 0, 0, "locked or frozen", nil},
		"fails": {securitySupported, securitySupported | securityEnabled, ataErase, "refused",
			[]step{{ataSetPassword, 0}, {ataErasePrepare, 0}, {ataErase, 0}, {ataDisable, 0}}},
		"keeps its password": {securitySupported, securitySupported | securityEnabled, 0, "still has a password",
			[]step{{ataSetPassword, 0}, {ataErasePrepare, 0}, {ataErase, 0}, {ataDisable, 0}}},
		"refuses a password": {securitySupported, securitySupported, ataSetPassword, "set the password",
			[]step{{ataSetPassword, 0}}},
	} {
		var steps []step
		asked := false
		a := ata{command: func(opcode byte, data []byte, read bool, _ time.Duration) error {
			if read != (opcode == ataIdentify) {
				t.Errorf("%s: command %#x reads: %v", name, opcode, read)
			}
			if opcode == ataIdentify {
				word := c.before
				if asked {
					word = c.after
				}
				asked = true
				binary.LittleEndian.PutUint16(data[2*wordSecurity:], word)
				return nil
			}
			s := step{opcode: opcode}
			if data != nil {
				s.flags = data[0]
			}
			steps = append(steps, s)
			if opcode == c.refuse {
				return errors.New("refused")
			}
			return nil
		}}
		err := a.erase()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) ||
			!slices.Equal(steps, c.steps) {
			t.Errorf("%s: %v, %v", name, err, steps)
		}
		asked = false
		if want := c.before&(securityFrozen|securityLocked) == 0; a.canErase() != want {
			t.Errorf("%s: can erase is not %v", name, want)
		}
	}
}

func TestATA_Unlock(t *testing.T) {
	for name, c := range map[string]struct {
		security uint16
		refuse   bool
		want     []byte
	}{
		"not locked":       {security: securitySupported},
		"our password":     {security: securityEnabled | securityLocked, want: []byte{ataUnlock, ataDisable}},
		"another password": {security: securityEnabled | securityLocked, refuse: true, want: []byte{ataUnlock}},
	} {
		var sent []byte
		a := ata{command: func(opcode byte, data []byte, _ bool, _ time.Duration) error {
			if opcode == ataIdentify {
				binary.LittleEndian.PutUint16(data[2*wordSecurity:], c.security)
				return nil
			}
			if sent = append(sent, opcode); !slices.Equal(data, password()) {
				t.Errorf("%s: %#x has another password", name, opcode)
			}
			if c.refuse {
				return errors.New("refused")
			}
			return nil
		}}
		if a.unlock(); !slices.Equal(sent, c.want) {
			t.Errorf("%s: %#x, want %#x", name, sent, c.want)
		}
	}
}

func TestATA_Timeout(t *testing.T) {
	for units, want := range map[uint16]time.Duration{
		0: 24 * time.Hour, 1: 2 * time.Hour, 100: 400 * time.Minute, 0x80ff: 24 * time.Hour, 0x8190: 1600 * time.Minute,
	} {
		if got := eraseTimeout(units); got != want {
			t.Errorf("%#x: %s, want %s", units, got, want)
		}
	}
}

func TestPassThrough(t *testing.T) {
	for want, got := range map[string][]byte{
		"85080e0000000100000000000000ec00": passThrough(ataIdentify, true, true),
		"850a060000000100000000000000f100": passThrough(ataSetPassword, true, false),
		"8506000000000000000000000000f300": passThrough(ataErasePrepare, false, false),
	} {
		if fmt.Sprintf("%x", got) != want {
			t.Errorf("%x, want %s", got, want)
		}
	}
}
