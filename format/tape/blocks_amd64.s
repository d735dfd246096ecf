//go:build amd64 && !purego

#include "textflag.h"

// FILL fills X with a byte that is repeated eight times in $bytes.
#define FILL(bytes, X) \
	MOVQ       $bytes, DX; \
	MOVQ       DX, X;      \
	PUNPCKLQDQ X, X

// ADDEQUAL adds to the marks in M where a half H of the block equals C.
#define ADDEQUAL(C, H, M) \
	MOVO    C, X6; \
	PCMPEQB H, X6; \
	POR     X6, M

// MASK makes of the marks in both halves a mask with a bit for each byte, that of the
// first byte being the lowest.
#define MASK(FIRST, SECOND, R) \
	PMOVMSKB FIRST, R;   \
	PMOVMSKB SECOND, BX; \
	SHLQ     $16, BX;    \
	ORQ      BX, R

// func skipString(s []byte) (n int, backslashes uint64)
//
// Only SSE2 is used, which every amd64 has.
TEXT ·skipString(SB), NOSPLIT, $0-40
	MOVQ s_base+0(FP), SI
	MOVQ s_len+8(FP), AX
	XORQ R8, R8           // 1 if the first byte of the block is escaped
	XORQ R9, R9           // backslashes of any block

	FILL(0x2222222222222222, X8)  // quote
	FILL(0x5c5c5c5c5c5c5c5c, X9)  // backslash
	FILL(0x2020202020202020, X10) // the first that is no control character
	FILL(0x6e6e6e6e6e6e6e6e, X11) // n
	FILL(0x7474747474747474, X12) // t
	FILL(0x7272727272727272, X13) // r

block:
	SUBQ  $32, AX
	JLT   done
	MOVOU (SI), X0
	MOVOU 16(SI), X1

	// R10, and marks in X2 and X3: quotes
	MOVO    X0, X2
	PCMPEQB X8, X2
	MOVO    X1, X3
	PCMPEQB X8, X3
	MASK(X2, X3, R10)

	// R11, and marks in X4 and X5: backslashes
	MOVO    X0, X4
	PCMPEQB X9, X4
	MOVO    X1, X5
	PCMPEQB X9, X5
	MASK(X4, X5, R11)

	// R12: control characters, and what is not ASCII, which is negative
	MOVO    X10, X6
	PCMPGTB X0, X6
	MOVO    X10, X7
	PCMPGTB X1, X7
	MASK(X6, X7, R12)

	MOVQ R11, BX
	ORQ  R8, BX
	JNZ  escapes

	ORQ  R10, R12
	JNZ  plainStop
	ADDQ $32, SI
	JMP  block

plainStop:
	BSFQ R12, BX
	ADDQ BX, SI
	JMP  out

escapes:
	// DX: bytes that may be escaped
	POR X4, X2
	POR X5, X3
	ADDEQUAL(X11, X0, X2)
	ADDEQUAL(X11, X1, X3)
	ADDEQUAL(X12, X0, X2)
	ADDEQUAL(X12, X1, X3)
	ADDEQUAL(X13, X0, X2)
	ADDEQUAL(X13, X1, X3)
	MASK(X2, X3, DX)

	// DI: bytes that are escaped. In a row of backslashes every second one escapes;
	// the subtraction carries where a row began, on an odd place or an even one, to
	// its end.
	MOVQ R8, DI
	NOTQ DI
	ANDQ R11, DI
	LEAQ (DI)(DI*1), BX
	MOVQ $0xaaaaaaaaaaaaaaaa, R13
	ORQ  R13, BX
	SUBQ DI, BX
	XORQ R13, BX
	MOVQ R11, DI
	ORQ  R8, DI
	XORQ BX, DI
	MOVL DI, DI

	// R8 from the next block on: the last byte of this one escapes
	ANDQ R11, BX
	SHRQ $31, BX

	// R12: where to stop
	MOVQ DI, R13
	NOTQ R13
	ANDQ R13, R10
	ORQ  R10, R12
	NOTQ DX
	ANDQ DI, DX
	ORQ  DX, R12
	JNZ  escapedStop

	ORQ  R11, R9
	MOVQ BX, R8
	ADDQ $32, SI
	JMP  block

escapedStop:
	BSFQ R12, CX

	// backslashes before it
	MOVQ $1, DX
	SHLQ CX, DX
	DECQ DX
	ANDQ DX, R11
	ORQ  R11, R9

	// An escape is looked at from its backslash on.
	BTQ  CX, DI
	SBBQ $0, CX
	ADDQ CX, SI
	JMP  out

done:
	SUBQ R8, SI

out:
	SUBQ s_base+0(FP), SI
	MOVQ SI, n+24(FP)
	MOVQ R9, backslashes+32(FP)
	RET
