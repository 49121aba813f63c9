<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:param name="title" select="'Calls'"/>
<xsl:template match="/list">
<html>
<head><title><xsl:value-of select="$title"/></title></head>
<body>
<xsl:for-each select="name">
<xsl:call-template name="read">
<xsl:with-param name="path" select="@path"/>
</xsl:call-template>
</xsl:for-each>
</body>
</html>
</xsl:template>
<xsl:template name="read">
<xsl:param name="path"/>
<code><xsl:value-of select="$path"/></code>
</xsl:template>
</xsl:stylesheet>
