package node

import "golang.org/x/sys/unix"

const (
	getTermios       = unix.TIOCGETA
	setTermios       = unix.TIOCSETA
	sendBreakRequest = unix.TIOCSBRK
	noCharacter      = 255
)

// The codes of RFC 4254, section 8, and what they are here.
var (
	specialCharacters = map[byte]int{
		1: unix.VINTR, 2: unix.VQUIT, 3: unix.VERASE, 4: unix.VKILL, 5: unix.VEOF, 6: unix.VEOL, 7: unix.VEOL2,
		8: unix.VSTART,
		9: unix.VSTOP, 10: unix.VSUSP, 11: unix.VDSUSP, 12: unix.VREPRINT, 13: unix.VWERASE, 14: unix.VLNEXT,
		17: unix.VSTATUS,
		18: unix.VDISCARD,
	}
	inputModes = map[byte]uint64{
		30: unix.IGNPAR, 31: unix.PARMRK, 32: unix.INPCK, 33: unix.ISTRIP, 34: unix.INLCR, 35: unix.IGNCR,
		36: unix.ICRNL,
		38: unix.IXON, 39: unix.IXANY, 40: unix.IXOFF, 41: unix.IMAXBEL, 42: unix.IUTF8,
	}
	localModes = map[byte]uint64{
		50: unix.ISIG, 51: unix.ICANON, 53: unix.ECHO, 54: unix.ECHOE, 55: unix.ECHOK, 56: unix.ECHONL, 57: unix.NOFLSH,
		58: unix.TOSTOP, 59: unix.IEXTEN, 60: unix.ECHOCTL, 61: unix.ECHOKE, 62: unix.PENDIN,
	}
	outputModes = map[byte]uint64{
		70: unix.OPOST, 72: unix.ONLCR, 73: unix.OCRNL, 74: unix.ONOCR, 75: unix.ONLRET,
	}
	controlModes = map[byte]uint64{92: unix.PARENB, 93: unix.PARODD}
	sizeModes    = map[byte]uint64{90: unix.CS7, 91: unix.CS8}
)

// setSpeed sets the speed of the line, which is only shown.
func setSpeed(t *unix.Termios, baud uint32) { t.Ispeed, t.Ospeed = uint64(baud), uint64(baud) }
