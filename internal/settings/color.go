package settings

import (
	"fmt"
	"math"
	"strconv"
)

// minContrast is the contrast that WCAG 2.2 AA requires of text.
const minContrast = 4.5

// rgb is a color in sRGB.
type rgb [3]uint8

// The colors of the text on a primary color: one of them is used, the same in both themes.
var (
	lightText = rgb{0xff, 0xff, 0xff}
	darkText  = rgb{0x17, 0x1b, 0x1f}
)

// parseColor reads a color such as #1f6feb.
func parseColor(s string) (c rgb, valid bool) {
	if len(s) != 7 || s[0] != '#' {
		return c, false
	}
	for i := range c {
		n, err := strconv.ParseUint(s[1+2*i:3+2*i], 16, 8)
		if err != nil {
			return c, false
		}
		c[i] = uint8(n)
	}
	return c, true
}

func (c rgb) String() string { return fmt.Sprintf("#%02x%02x%02x", c[0], c[1], c[2]) }

// luminance is the relative luminance of WCAG.
func (c rgb) luminance() float64 {
	linear := func(v uint8) float64 {
		x := float64(v) / 255
		if x <= 0.04045 {
			return x / 12.92
		}
		return math.Pow((x+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c[0]) + 0.7152*linear(c[1]) + 0.0722*linear(c[2])
}

// contrast is the contrast ratio of WCAG, from 1 to 21.
func contrast(a, b rgb) float64 {
	x, y := a.luminance(), b.luminance()
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// text returns the color of the text that has the better contrast on this color, and the contrast.
func (c rgb) text() (rgb, float64) {
	light, dark := contrast(c, lightText), contrast(c, darkText)
	if light >= dark {
		return lightText, light
	}
	return darkText, dark
}

// toward mixes the color with another one: n of 255 parts.
func (c rgb) toward(to rgb, n int) rgb {
	for i := range c {
		c[i] = uint8((int(c[i])*(255-n) + int(to[i])*n + 127) / 255)
	}
	return c
}

// readable returns the color itself, or the nearest darker or lighter one on which text is
// readable.
func (c rgb) readable() rgb {
	for n := range 256 {
		for _, to := range []rgb{{}, {0xff, 0xff, 0xff}} {
			near := c.toward(to, n)
			if _, ratio := near.text(); ratio >= minContrast {
				return near
			}
		}
	}
	return c
}

// checkColor returns what is wrong with a primary color.
func checkColor(s string) string {
	c, valid := parseColor(s)
	if !valid {
		return "must be a color such as #1f6feb, or empty for the built-in one."
	}
	text, ratio := c.text()
	if ratio >= minContrast {
		return ""
	}
	return fmt.Sprintf("must have a contrast of at least 4.5:1 with white or near-black text (%s or %s); %s has "+
		"%.2f:1 with %s. The nearest color that passes is %s.", lightText, darkText, s, math.Floor(ratio*100)/100,
		text, c.readable())
}

// TextColor returns the color of text on the primary color; "" without one.
func (b Branding) TextColor() string {
	c, valid := parseColor(b.PrimaryColor)
	if !valid {
		return ""
	}
	text, _ := c.text()
	return text.String()
}
