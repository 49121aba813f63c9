<%@ page contentType="text/html;charset=UTF-8" %>
<%@ taglib prefix="c" uri="http://java.sun.com/jsp/jstl/core" %>
<jsp:include page="head.jsp">
<jsp:param name="title" value="Files"/>
</jsp:include>
<c:forEach var="name" items="${list}">
<c:if test="${name.length() < 20 && !empty name}">
<p><c:out value="${name}"/> <%= name.equals("read") ? "<b>read</b>" : "" %></p>
</c:if>
</c:forEach>
